;; lib_elementwise — the loops of element-wise kernels. Loads may run past the last element; stores never do.
(module
  ;; y[i] = op(x[i]) for elements m0 ≤ i < m1; x and y dense 32-bit, y = x allowed.
  (func $map_x32! (param $op (ref $unary)) (param $y i32) (param $x i32) (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $v v128)
    (local.set $i (local.get $m0))
    (block $done
      (loop $vectors
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $v
          (call_ref $unary
            (v128.load (i32.add (local.get $x) (i32.shl (local.get $i) (i32.const 2))))
            (local.get $op)))
        (call $store_x32!
          (i32.add (local.get $y) (i32.shl (local.get $i) (i32.const 2)))
          (local.get $v)
          (i32.sub (local.get $m1) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br $vectors))))

  ;; y[i] = op(x[i], a, b) with two scalars in all lanes; elements and requirements as in map_x32.
  (func $map_scalars_x32! (param $op (ref $ternary)) (param $y i32) (param $x i32) (param $a f32) (param $b f32)
                          (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $v v128) (local $va v128) (local $vb v128)
    (local.set $va (f32x4.splat (local.get $a)))
    (local.set $vb (f32x4.splat (local.get $b)))
    (local.set $i (local.get $m0))
    (block $done
      (loop $vectors
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $v
          (call_ref $ternary
            (v128.load (i32.add (local.get $x) (i32.shl (local.get $i) (i32.const 2))))
            (local.get $va) (local.get $vb) (local.get $op)))
        (call $store_x32!
          (i32.add (local.get $y) (i32.shl (local.get $i) (i32.const 2)))
          (local.get $v)
          (i32.sub (local.get $m1) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br $vectors))))

  ;; Offset of row r of a nest n0 × n1 × n2 with byte strides s0, s1, s2: r counts n0·n1·n2 row-major.
  (func $row3! (param $r i32) (param $n1 i32) (param $n2 i32)
               (param $s0 i32) (param $s1 i32) (param $s2 i32) (result i32)
    (local $t i32) (local $u i32)
    (local.set $t (i32.div_u (local.get $r) (local.get $n2)))
    (local.set $u (i32.div_u (local.get $t) (local.get $n1)))
    (i32.add
      (i32.mul (local.get $u) (local.get $s0))
      (i32.add
        (i32.mul (i32.sub (local.get $t) (i32.mul (local.get $u) (local.get $n1))) (local.get $s1))
        (i32.mul (i32.sub (local.get $r) (i32.mul (local.get $t) (local.get $n2))) (local.get $s2)))))

  ;; y = op(a, b) over a nest n0 × n1 × n2 × n3, y dense, elements m0 ≤ i < m1 in row-major order; 32-bit.
  ;; a0…a2, b0…b2 are byte strides; a3, b3 are 4 (dense) or 0 (one value for the whole row).
  (func $map2_x32! (param $op (ref $binary)) (param $y i32) (param $a i32) (param $b i32)
                   (param $n1 i32) (param $n2 i32) (param $n3 i32)
                   (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                   (param $b0 i32) (param $b1 i32) (param $b2 i32) (param $b3 i32)
                   (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $row i32) (local $col i32) (local $end i32)
    (local $pa i32) (local $pb i32) (local $va v128) (local $vb v128)
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $row (i32.div_u (local.get $i) (local.get $n3)))
        (local.set $col (i32.sub (local.get $i) (i32.mul (local.get $row) (local.get $n3))))
        (local.set $end
          (call $min_u! (local.get $m1)
            (i32.add (local.get $i) (i32.sub (local.get $n3) (local.get $col)))))
        (local.set $pa
          (i32.add (i32.add (local.get $a) (i32.mul (local.get $col) (local.get $a3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $a0) (local.get $a1) (local.get $a2))))
        (local.set $pb
          (i32.add (i32.add (local.get $b) (i32.mul (local.get $col) (local.get $b3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $b0) (local.get $b1) (local.get $b2))))
        (local.set $va (v128.load32_splat (local.get $pa)))
        (local.set $vb (v128.load32_splat (local.get $pb)))
        (loop $vectors
          (if (local.get $a3) (then (local.set $va (v128.load (local.get $pa)))))
          (if (local.get $b3) (then (local.set $vb (v128.load (local.get $pb)))))
          (call $store_x32!
            (i32.add (local.get $y) (i32.shl (local.get $i) (i32.const 2)))
            (call_ref $binary (local.get $va) (local.get $vb) (local.get $op))
            (i32.sub (local.get $end) (local.get $i)))
          (local.set $pa (i32.add (local.get $pa) (i32.shl (local.get $a3) (i32.const 2))))
          (local.set $pb (i32.add (local.get $pb) (i32.shl (local.get $b3) (i32.const 2))))
          (local.set $i (i32.add (local.get $i) (i32.const 4)))
          (br_if $vectors (i32.lt_u (local.get $i) (local.get $end))))
        (local.set $i (local.get $end))
        (br $rows))))

  ;; `map2_x32` for 64-bit elements: a3, b3 are 8 or 0.
  (func $map2_x64! (param $op (ref $binary)) (param $y i32) (param $a i32) (param $b i32)
                   (param $n1 i32) (param $n2 i32) (param $n3 i32)
                   (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                   (param $b0 i32) (param $b1 i32) (param $b2 i32) (param $b3 i32)
                   (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $row i32) (local $col i32) (local $end i32)
    (local $pa i32) (local $pb i32) (local $va v128) (local $vb v128)
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $row (i32.div_u (local.get $i) (local.get $n3)))
        (local.set $col (i32.sub (local.get $i) (i32.mul (local.get $row) (local.get $n3))))
        (local.set $end
          (call $min_u! (local.get $m1)
            (i32.add (local.get $i) (i32.sub (local.get $n3) (local.get $col)))))
        (local.set $pa
          (i32.add (i32.add (local.get $a) (i32.mul (local.get $col) (local.get $a3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $a0) (local.get $a1) (local.get $a2))))
        (local.set $pb
          (i32.add (i32.add (local.get $b) (i32.mul (local.get $col) (local.get $b3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $b0) (local.get $b1) (local.get $b2))))
        (local.set $va (v128.load64_splat (local.get $pa)))
        (local.set $vb (v128.load64_splat (local.get $pb)))
        (loop $vectors
          (if (local.get $a3) (then (local.set $va (v128.load (local.get $pa)))))
          (if (local.get $b3) (then (local.set $vb (v128.load (local.get $pb)))))
          (call $store_x64!
            (i32.add (local.get $y) (i32.shl (local.get $i) (i32.const 3)))
            (call_ref $binary (local.get $va) (local.get $vb) (local.get $op))
            (i32.sub (local.get $end) (local.get $i)))
          (local.set $pa (i32.add (local.get $pa) (i32.shl (local.get $a3) (i32.const 1))))
          (local.set $pb (i32.add (local.get $pb) (i32.shl (local.get $b3) (i32.const 1))))
          (local.set $i (i32.add (local.get $i) (i32.const 2)))
          (br_if $vectors (i32.lt_u (local.get $i) (local.get $end))))
        (local.set $i (local.get $end))
        (br $rows))))
)
