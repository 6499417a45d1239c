;; lib_elementwise_x32 — the loops of element-wise kernels on 32-bit elements, sixteen elements at a time: the chains of
;; operations of four vectors proceed in step. Loads run up to 60 bytes past the last element; stores never do.
(module
  ;; y[i] = op(x[i]) for elements m0 ≤ i < m1 of rows of n; elements are dense in a row, rows are ldx and ldy bytes apart.
  ;; y = x allowed where ldx = ldy.
  (func $map_x32! (param $op (ref $unary)) (param $y i32) (param $x i32)
                  (param $n i32) (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $row i32) (local $col i32) (local $rest i32) (local $py i32) (local $px i32)
    (local $v0 v128) (local $v1 v128) (local $v2 v128) (local $v3 v128)
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $row (i32.div_u (local.get $i) (local.get $n)))
        (local.set $col (i32.sub (local.get $i) (i32.mul (local.get $row) (local.get $n))))
        (local.set $rest
          (call $min_u! (i32.sub (local.get $n) (local.get $col)) (i32.sub (local.get $m1) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (local.get $rest)))
        (local.set $col (i32.shl (local.get $col) (i32.const 2)))
        (local.set $py
          (i32.add (i32.add (local.get $y) (i32.mul (local.get $row) (local.get $ldy))) (local.get $col)))
        (local.set $px
          (i32.add (i32.add (local.get $x) (i32.mul (local.get $row) (local.get $ldx))) (local.get $col)))
        (loop $vectors
          (local.set $v0 (call_ref $unary (v128.load (local.get $px)) (local.get $op)))
          (local.set $v1 (call_ref $unary (v128.load offset=16 (local.get $px)) (local.get $op)))
          (local.set $v2 (call_ref $unary (v128.load offset=32 (local.get $px)) (local.get $op)))
          (local.set $v3 (call_ref $unary (v128.load offset=48 (local.get $px)) (local.get $op)))
          (call $store4_x32! (local.get $py)
            (local.get $v0) (local.get $v1) (local.get $v2) (local.get $v3) (local.get $rest))
          (local.set $py (i32.add (local.get $py) (i32.const 64)))
          (local.set $px (i32.add (local.get $px) (i32.const 64)))
          (br_if $vectors
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 16))) (i32.const 0))))
        (br $rows))))

  ;; map_x32 for long functions that are rarely called: two vectors at a time, and half the code.
  (func $map_two_x32! (param $op (ref $unary)) (param $y i32) (param $x i32)
                      (param $n i32) (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $row i32) (local $col i32) (local $rest i32) (local $py i32) (local $px i32)
    (local $v0 v128) (local $v1 v128)
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $row (i32.div_u (local.get $i) (local.get $n)))
        (local.set $col (i32.sub (local.get $i) (i32.mul (local.get $row) (local.get $n))))
        (local.set $rest
          (call $min_u! (i32.sub (local.get $n) (local.get $col)) (i32.sub (local.get $m1) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (local.get $rest)))
        (local.set $col (i32.shl (local.get $col) (i32.const 2)))
        (local.set $py
          (i32.add (i32.add (local.get $y) (i32.mul (local.get $row) (local.get $ldy))) (local.get $col)))
        (local.set $px
          (i32.add (i32.add (local.get $x) (i32.mul (local.get $row) (local.get $ldx))) (local.get $col)))
        (loop $vectors
          (local.set $v0 (call_ref $unary (v128.load (local.get $px)) (local.get $op)))
          (local.set $v1 (call_ref $unary (v128.load offset=16 (local.get $px)) (local.get $op)))
          (call $store_x32! (local.get $py) (local.get $v0) (local.get $rest))
          (if (i32.gt_s (local.get $rest) (i32.const 4))
            (then
              (call $store_x32! (i32.add (local.get $py) (i32.const 16)) (local.get $v1)
                (i32.sub (local.get $rest) (i32.const 4)))))
          (local.set $py (i32.add (local.get $py) (i32.const 32)))
          (local.set $px (i32.add (local.get $px) (i32.const 32)))
          (br_if $vectors
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 8))) (i32.const 0))))
        (br $rows))))

  ;; y[i] = op(x[i], a, b) with two scalars in all lanes; elements and requirements as in map_x32.
  (func $map_scalars_x32! (param $op (ref $ternary)) (param $y i32) (param $x i32) (param $a f32) (param $b f32)
                          (param $n i32) (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $row i32) (local $col i32) (local $rest i32) (local $py i32) (local $px i32)
    (local $v0 v128) (local $v1 v128) (local $v2 v128) (local $v3 v128) (local $va v128) (local $vb v128)
    (local.set $va (f32x4.splat (local.get $a)))
    (local.set $vb (f32x4.splat (local.get $b)))
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $row (i32.div_u (local.get $i) (local.get $n)))
        (local.set $col (i32.sub (local.get $i) (i32.mul (local.get $row) (local.get $n))))
        (local.set $rest
          (call $min_u! (i32.sub (local.get $n) (local.get $col)) (i32.sub (local.get $m1) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (local.get $rest)))
        (local.set $col (i32.shl (local.get $col) (i32.const 2)))
        (local.set $py
          (i32.add (i32.add (local.get $y) (i32.mul (local.get $row) (local.get $ldy))) (local.get $col)))
        (local.set $px
          (i32.add (i32.add (local.get $x) (i32.mul (local.get $row) (local.get $ldx))) (local.get $col)))
        (loop $vectors
          (local.set $v0
            (call_ref $ternary (v128.load (local.get $px)) (local.get $va) (local.get $vb) (local.get $op)))
          (local.set $v1
            (call_ref $ternary (v128.load offset=16 (local.get $px)) (local.get $va) (local.get $vb) (local.get $op)))
          (local.set $v2
            (call_ref $ternary (v128.load offset=32 (local.get $px)) (local.get $va) (local.get $vb) (local.get $op)))
          (local.set $v3
            (call_ref $ternary (v128.load offset=48 (local.get $px)) (local.get $va) (local.get $vb) (local.get $op)))
          (call $store4_x32! (local.get $py)
            (local.get $v0) (local.get $v1) (local.get $v2) (local.get $v3) (local.get $rest))
          (local.set $py (i32.add (local.get $py) (i32.const 64)))
          (local.set $px (i32.add (local.get $px) (i32.const 64)))
          (br_if $vectors
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 16))) (i32.const 0))))
        (br $rows))))

  ;; y = op(a, b) over a nest n0 × n1 × n2 × n3, elements m0 ≤ i < m1 in row-major order.
  ;; Requires  a3 = size or a3 = 0 · b3 = size or b3 = 0
  ;; y0…y2, a0…a2, b0…b2 are byte strides; a3, b3 are 4 (dense) or 0 (one value for the whole row). y = a and y = b allowed
  ;; where they have the strides of y.
  (func $map2_f32! (param $op (ref $binary)) (param $y i32) (param $a i32) (param $b i32)
                   (param $n1 i32) (param $n2 i32) (param $n3 i32)
                   (param $y0 i32) (param $y1 i32) (param $y2 i32)
                   (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                   (param $b0 i32) (param $b1 i32) (param $b2 i32) (param $b3 i32)
                   (param $m0 i32) (param $m1 i32)
    (local $left i32) (local $rest i32) (local $i i32) (local $i1 i32) (local $i2 i32) (local $col i32)
    (local $ry i32) (local $ra i32) (local $rb i32) (local $py i32) (local $pa i32) (local $pb i32)
    (local $va0 v128) (local $va1 v128) (local $va2 v128) (local $va3 v128)
    (local $vb0 v128) (local $vb1 v128) (local $vb2 v128) (local $vb3 v128)
    (local $v0 v128) (local $v1 v128) (local $v2 v128) (local $v3 v128)
    (block $done
      (br_if $done (i32.ge_u (local.get $m0) (local.get $m1)))
      (local.set $left (i32.sub (local.get $m1) (local.get $m0)))
      ;; Where row i, the first one, begins, its place in the nest, and the first column.
      (local.set $i (i32.div_u (local.get $m0) (local.get $n3)))
      (local.set $col (i32.sub (local.get $m0) (i32.mul (local.get $i) (local.get $n3))))
      (local.set $ry
        (i32.add (local.get $y)
          (call $row3! (local.get $i) (local.get $n1) (local.get $n2)
            (local.get $y0) (local.get $y1) (local.get $y2))))
      (local.set $ra
        (i32.add (local.get $a)
          (call $row3! (local.get $i) (local.get $n1) (local.get $n2)
            (local.get $a0) (local.get $a1) (local.get $a2))))
      (local.set $rb
        (i32.add (local.get $b)
          (call $row3! (local.get $i) (local.get $n1) (local.get $n2)
            (local.get $b0) (local.get $b1) (local.get $b2))))
      (local.set $i2 (i32.rem_u (local.get $i) (local.get $n2)))
      (local.set $i1 (i32.rem_u (i32.div_u (local.get $i) (local.get $n2)) (local.get $n1)))
      (loop $rows
        (local.set $rest (call $min_u! (local.get $left) (i32.sub (local.get $n3) (local.get $col))))
        (local.set $left (i32.sub (local.get $left) (local.get $rest)))
        (local.set $py (i32.add (local.get $ry) (i32.shl (local.get $col) (i32.const 2))))
        (local.set $pa (i32.add (local.get $ra) (i32.mul (local.get $col) (local.get $a3))))
        (local.set $pb (i32.add (local.get $rb) (i32.mul (local.get $col) (local.get $b3))))
        (local.set $va0 (v128.load32_splat (local.get $pa)))
        (local.set $va1 (local.get $va0))
        (local.set $va2 (local.get $va0))
        (local.set $va3 (local.get $va0))
        (local.set $vb0 (v128.load32_splat (local.get $pb)))
        (local.set $vb1 (local.get $vb0))
        (local.set $vb2 (local.get $vb0))
        (local.set $vb3 (local.get $vb0))
        (loop $vectors
          (if (local.get $a3)
            (then
                (local.set $va0 (v128.load (local.get $pa)))
                (local.set $va1 (v128.load offset=16 (local.get $pa)))
                (local.set $va2 (v128.load offset=32 (local.get $pa)))
                (local.set $va3 (v128.load offset=48 (local.get $pa)))))
          (if (local.get $b3)
            (then
                (local.set $vb0 (v128.load (local.get $pb)))
                (local.set $vb1 (v128.load offset=16 (local.get $pb)))
                (local.set $vb2 (v128.load offset=32 (local.get $pb)))
                (local.set $vb3 (v128.load offset=48 (local.get $pb)))))
          (local.set $v0 (call_ref $binary (local.get $va0) (local.get $vb0) (local.get $op)))
          (local.set $v1 (call_ref $binary (local.get $va1) (local.get $vb1) (local.get $op)))
          (local.set $v2 (call_ref $binary (local.get $va2) (local.get $vb2) (local.get $op)))
          (local.set $v3 (call_ref $binary (local.get $va3) (local.get $vb3) (local.get $op)))
          (call $store4_x32! (local.get $py)
            (local.get $v0) (local.get $v1) (local.get $v2) (local.get $v3) (local.get $rest))
          (local.set $py (i32.add (local.get $py) (i32.const 64)))
          (local.set $pa (i32.add (local.get $pa) (i32.shl (local.get $a3) (i32.const 4))))
          (local.set $pb (i32.add (local.get $pb) (i32.shl (local.get $b3) (i32.const 4))))
          (br_if $vectors
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 16))) (i32.const 0))))
        (br_if $done (i32.eqz (local.get $left)))
        ;; The next row; where an index starts again, back to its beginning and on along the one before.
        (local.set $col (i32.const 0))
        (local.set $ry (i32.add (local.get $ry) (local.get $y2)))
        (local.set $ra (i32.add (local.get $ra) (local.get $a2)))
        (local.set $rb (i32.add (local.get $rb) (local.get $b2)))
        (local.set $i2 (i32.add (local.get $i2) (i32.const 1)))
        (if (i32.eq (local.get $i2) (local.get $n2))
          (then
            (local.set $i2 (i32.const 0))
            (local.set $ry (call $carry! (local.get $ry) (local.get $y1) (local.get $n2) (local.get $y2)))
            (local.set $ra (call $carry! (local.get $ra) (local.get $a1) (local.get $n2) (local.get $a2)))
            (local.set $rb (call $carry! (local.get $rb) (local.get $b1) (local.get $n2) (local.get $b2)))
            (local.set $i1 (i32.add (local.get $i1) (i32.const 1)))
            (if (i32.eq (local.get $i1) (local.get $n1))
              (then
                (local.set $i1 (i32.const 0))
                (local.set $ry (call $carry! (local.get $ry) (local.get $y0) (local.get $n1) (local.get $y1)))
                (local.set $ra (call $carry! (local.get $ra) (local.get $a0) (local.get $n1) (local.get $a1)))
                (local.set $rb (call $carry! (local.get $rb) (local.get $b0) (local.get $n1) (local.get $b1)))))))
        (br $rows))))

  ;; p + outer − n·inner: n steps back along one axis, one step on along the axis around it.
  (func $carry! (param $p i32) (param $outer i32) (param $n i32) (param $inner i32) (result i32)
    (i32.sub (i32.add (local.get $p) (local.get $outer)) (i32.mul (local.get $n) (local.get $inner))))
)
