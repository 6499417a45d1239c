;; lib_elementwise — the loops of element-wise kernels. Loads may run past the last element; stores never do.
(module
  ;; Comparison masks as booleans: each lane becomes the byte 1 or 0, bytes next to each other from the first on.
  (func $truth_x8! (param $mask v128) (result v128)
    (v128.and (local.get $mask) (v128.const i8x16 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1)))
  (func $truth_x32! (param $mask v128) (result v128)
    (call $truth_x8!
      (i8x16.shuffle 0 4 8 12 0 4 8 12 0 4 8 12 0 4 8 12 (local.get $mask) (local.get $mask))))
  (func $truth_x64! (param $mask v128) (result v128)
    (call $truth_x8!
      (i8x16.shuffle 0 8 0 8 0 8 0 8 0 8 0 8 0 8 0 8 (local.get $mask) (local.get $mask))))

  ;; y[i] = op(x[i]) for elements m0 ≤ i < m1 of rows of n, `lanes` at a time; elements of 1 << sx and 1 << sy bytes are
  ;; dense in a row, rows are ldx and ldy bytes apart. op gives `lanes` results in its first bytes, `store` the first
  ;; min(count, lanes) of them. y = x allowed where sx = sy and ldx = ldy.
  (func $map! (param $op (ref $unary)) (param $store (ref $store))
              (param $sx i32) (param $sy i32) (param $lanes i32)
              (param $y i32) (param $x i32) (param $n i32) (param $ldy i32) (param $ldx i32)
              (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $row i32) (local $first i32) (local $end i32) (local $py i32) (local $px i32) (local $v v128)
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        ;; Where element 0 would be if this row went on in front.
        (local.set $row (i32.div_u (local.get $i) (local.get $n)))
        (local.set $first (i32.mul (local.get $row) (local.get $n)))
        (local.set $end (call $min_u! (local.get $m1) (i32.add (local.get $first) (local.get $n))))
        (local.set $py
          (i32.sub (i32.add (local.get $y) (i32.mul (local.get $row) (local.get $ldy)))
            (i32.shl (local.get $first) (local.get $sy))))
        (local.set $px
          (i32.sub (i32.add (local.get $x) (i32.mul (local.get $row) (local.get $ldx)))
            (i32.shl (local.get $first) (local.get $sx))))
        (loop $vectors
          (local.set $v
            (call_ref $unary
              (v128.load (i32.add (local.get $px) (i32.shl (local.get $i) (local.get $sx))))
              (local.get $op)))
          (call_ref $store
            (i32.add (local.get $py) (i32.shl (local.get $i) (local.get $sy)))
            (local.get $v)
            (i32.sub (local.get $end) (local.get $i))
            (local.get $store))
          (br_if $vectors
            (i32.lt_u (local.tee $i (i32.add (local.get $i) (local.get $lanes))) (local.get $end))))
        (local.set $i (local.get $end))
        (br $rows))))

  ;; `map` for 64-bit elements; y = x allowed.
  (func $map_x64! (param $op (ref $unary)) (param $y i32) (param $x i32)
                  (param $n i32) (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (call $map! (local.get $op) (ref.func $store_x64!) (i32.const 3) (i32.const 3) (i32.const 2)
      (local.get $y) (local.get $x) (local.get $n) (local.get $ldy) (local.get $ldx) (local.get $m0) (local.get $m1)))

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

  ;; y = op(a, b) over a nest n0 × n1 × n2 × n3, elements m0 ≤ i < m1 in row-major order, `lanes` at a time.
  ;; y0…y2, a0…a2, b0…b2 are byte strides; a3, b3 are the size of an element (dense) or 0 (one value for the whole row).
  ;; Requires  a3 = size or a3 = 0 · b3 = size or b3 = 0
  ;; Elements of y have 1 << sy bytes; `splat` reads one element into all lanes, `store` stores the first results.
  (func $map2! (param $op (ref $binary)) (param $splat (ref $splat)) (param $store (ref $store))
               (param $sy i32) (param $lanes i32)
               (param $y i32) (param $a i32) (param $b i32)
               (param $n1 i32) (param $n2 i32) (param $n3 i32)
               (param $y0 i32) (param $y1 i32) (param $y2 i32)
               (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
               (param $b0 i32) (param $b1 i32) (param $b2 i32) (param $b3 i32)
               (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $row i32) (local $col i32) (local $end i32)
    (local $py i32) (local $pa i32) (local $pb i32) (local $va v128) (local $vb v128)
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $row (i32.div_u (local.get $i) (local.get $n3)))
        (local.set $col (i32.sub (local.get $i) (i32.mul (local.get $row) (local.get $n3))))
        (local.set $end
          (call $min_u! (local.get $m1)
            (i32.add (local.get $i) (i32.sub (local.get $n3) (local.get $col)))))
        (local.set $py
          (i32.sub
            (i32.add (local.get $y)
              (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
                (local.get $y0) (local.get $y1) (local.get $y2)))
            (i32.shl (i32.sub (local.get $i) (local.get $col)) (local.get $sy))))
        (local.set $pa
          (i32.add (i32.add (local.get $a) (i32.mul (local.get $col) (local.get $a3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $a0) (local.get $a1) (local.get $a2))))
        (local.set $pb
          (i32.add (i32.add (local.get $b) (i32.mul (local.get $col) (local.get $b3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $b0) (local.get $b1) (local.get $b2))))
        (local.set $va (call_ref $splat (local.get $pa) (local.get $splat)))
        (local.set $vb (call_ref $splat (local.get $pb) (local.get $splat)))
        (loop $vectors
          (if (local.get $a3) (then (local.set $va (v128.load (local.get $pa)))))
          (if (local.get $b3) (then (local.set $vb (v128.load (local.get $pb)))))
          (call_ref $store
            (i32.add (local.get $py) (i32.shl (local.get $i) (local.get $sy)))
            (call_ref $binary (local.get $va) (local.get $vb) (local.get $op))
            (i32.sub (local.get $end) (local.get $i))
            (local.get $store))
          (local.set $pa (i32.add (local.get $pa) (i32.mul (local.get $a3) (local.get $lanes))))
          (local.set $pb (i32.add (local.get $pb) (i32.mul (local.get $b3) (local.get $lanes))))
          (local.set $i (i32.add (local.get $i) (local.get $lanes)))
          (br_if $vectors (i32.lt_u (local.get $i) (local.get $end))))
        (local.set $i (local.get $end))
        (br $rows))))

  ;; `map2` for 8-bit elements; y = a and y = b allowed where they have the strides of y.
  (func $map2_x8! (param $op (ref $binary)) (param $y i32) (param $a i32) (param $b i32)
                   (param $n1 i32) (param $n2 i32) (param $n3 i32)
                   (param $y0 i32) (param $y1 i32) (param $y2 i32)
                   (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                   (param $b0 i32) (param $b1 i32) (param $b2 i32) (param $b3 i32)
                   (param $m0 i32) (param $m1 i32)
    (call $map2! (local.get $op) (ref.func $splat_x8!) (ref.func $store_x8!) (i32.const 0) (i32.const 16)
      (local.get $y) (local.get $a) (local.get $b)
      (local.get $n1) (local.get $n2) (local.get $n3)
      (local.get $y0) (local.get $y1) (local.get $y2)
      (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
      (local.get $b0) (local.get $b1) (local.get $b2) (local.get $b3)
      (local.get $m0) (local.get $m1)))

  ;; `map2` for 32-bit elements.
  (func $map2_x32! (param $op (ref $binary)) (param $y i32) (param $a i32) (param $b i32)
                   (param $n1 i32) (param $n2 i32) (param $n3 i32)
                   (param $y0 i32) (param $y1 i32) (param $y2 i32)
                   (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                   (param $b0 i32) (param $b1 i32) (param $b2 i32) (param $b3 i32)
                   (param $m0 i32) (param $m1 i32)
    (call $map2! (local.get $op) (ref.func $splat_x32!) (ref.func $store_x32!) (i32.const 2) (i32.const 4)
      (local.get $y) (local.get $a) (local.get $b)
      (local.get $n1) (local.get $n2) (local.get $n3)
      (local.get $y0) (local.get $y1) (local.get $y2)
      (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
      (local.get $b0) (local.get $b1) (local.get $b2) (local.get $b3)
      (local.get $m0) (local.get $m1)))

  ;; `map2` for 64-bit elements.
  (func $map2_x64! (param $op (ref $binary)) (param $y i32) (param $a i32) (param $b i32)
                   (param $n1 i32) (param $n2 i32) (param $n3 i32)
                   (param $y0 i32) (param $y1 i32) (param $y2 i32)
                   (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                   (param $b0 i32) (param $b1 i32) (param $b2 i32) (param $b3 i32)
                   (param $m0 i32) (param $m1 i32)
    (call $map2! (local.get $op) (ref.func $splat_x64!) (ref.func $store_x64!) (i32.const 3) (i32.const 2)
      (local.get $y) (local.get $a) (local.get $b)
      (local.get $n1) (local.get $n2) (local.get $n3)
      (local.get $y0) (local.get $y1) (local.get $y2)
      (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
      (local.get $b0) (local.get $b1) (local.get $b2) (local.get $b3)
      (local.get $m0) (local.get $m1)))
)
