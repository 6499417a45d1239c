;; copy — Y[i] = X[i] over a nest of six loops with byte strides: permutation, slicing, repetition, joining
;; Layout    n0 × … × n5; y0…y5 and x0…x5 are byte strides, 0 (repeat) and negative (reverse) included
;;           rows that are dense and long are copied as a block (a call costs as much as about 16 elements)
;; Requires  n5 ≥ 1 · y and x do not overlap
;; Writes    the rows m0 ≤ row < m1 of n0·n1·n2·n3·n4, row-major, each n5 elements; reads nothing else
(module
  (type $move (func (param i32 i32)))

  (func $move_x8! (param $y i32) (param $x i32) (i32.store8 (local.get $y) (i32.load8_u (local.get $x))))
  (func $move_x32! (param $y i32) (param $x i32) (i32.store (local.get $y) (i32.load (local.get $x))))
  (func $move_x64! (param $y i32) (param $x i32) (i64.store (local.get $y) (i64.load (local.get $x))))

  (func $copy! (param $move (ref $move)) (param $size i32)
    (param $y i32) (param $x i32)
    (param $n1 i32) (param $n2 i32) (param $n3 i32) (param $n4 i32) (param $n5 i32)
    (param $y0 i32) (param $y1 i32) (param $y2 i32) (param $y3 i32) (param $y4 i32) (param $y5 i32)
    (param $x0 i32) (param $x1 i32) (param $x2 i32) (param $x3 i32) (param $x4 i32) (param $x5 i32)
    (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $t i32) (local $i i32) (local $py i32) (local $px i32) (local $n i32)
    (local $rows i32) (local $qy i32) (local $qx i32) (local $block i32)
    (local.set $block
      (select (i32.mul (local.get $n5) (local.get $size)) (i32.const 0)
        (i32.and (i32.ge_u (local.get $n5) (i32.const 16))
          (i32.and (i32.eq (local.get $y5) (local.get $size)) (i32.eq (local.get $x5) (local.get $size))))))
    (local.set $m (local.get $m0))
    (block $done
      (loop $planes
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        ;; Peel the indices off the row number, innermost first; then all rows that differ in the last one only.
        (local.set $t (i32.div_u (local.get $m) (local.get $n4)))
        (local.set $i (i32.sub (local.get $m) (i32.mul (local.get $t) (local.get $n4))))
        (local.set $rows
          (call $min_u! (i32.sub (local.get $n4) (local.get $i)) (i32.sub (local.get $m1) (local.get $m))))
        (local.set $m (i32.add (local.get $m) (local.get $rows)))
        (local.set $py (i32.add (local.get $y) (i32.mul (local.get $i) (local.get $y4))))
        (local.set $px (i32.add (local.get $x) (i32.mul (local.get $i) (local.get $x4))))
        (local.set $n (i32.div_u (local.get $t) (local.get $n3)))
        (local.set $i (i32.sub (local.get $t) (i32.mul (local.get $n) (local.get $n3))))
        (local.set $py (i32.add (local.get $py) (i32.mul (local.get $i) (local.get $y3))))
        (local.set $px (i32.add (local.get $px) (i32.mul (local.get $i) (local.get $x3))))
        (local.set $t (i32.div_u (local.get $n) (local.get $n2)))
        (local.set $i (i32.sub (local.get $n) (i32.mul (local.get $t) (local.get $n2))))
        (local.set $py (i32.add (local.get $py) (i32.mul (local.get $i) (local.get $y2))))
        (local.set $px (i32.add (local.get $px) (i32.mul (local.get $i) (local.get $x2))))
        (local.set $n (i32.div_u (local.get $t) (local.get $n1)))
        (local.set $i (i32.sub (local.get $t) (i32.mul (local.get $n) (local.get $n1))))
        (local.set $py
          (i32.add (i32.add (local.get $py) (i32.mul (local.get $i) (local.get $y1)))
            (i32.mul (local.get $n) (local.get $y0))))
        (local.set $px
          (i32.add (i32.add (local.get $px) (i32.mul (local.get $i) (local.get $x1)))
            (i32.mul (local.get $n) (local.get $x0))))
        (loop $rows_of_plane
          (if (local.get $block)
            (then (memory.copy (local.get $py) (local.get $px) (local.get $block)))
            (else
              (local.set $qy (local.get $py))
              (local.set $qx (local.get $px))
              (local.set $n (local.get $n5))
              (loop $elements
                (call_ref $move (local.get $qy) (local.get $qx) (local.get $move))
                (local.set $qy (i32.add (local.get $qy) (local.get $y5)))
                (local.set $qx (i32.add (local.get $qx) (local.get $x5)))
                (br_if $elements (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
          (local.set $py (i32.add (local.get $py) (local.get $y4)))
          (local.set $px (i32.add (local.get $px) (local.get $x4)))
          (br_if $rows_of_plane (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))
        (br $planes))))

  (@kernel "x8_copy" (call $copy! (ref.func $move_x8!) (i32.const 1)))
  (@kernel "x32_copy" (call $copy! (ref.func $move_x32!) (i32.const 4)))
  (@kernel "x64_copy" (call $copy! (ref.func $move_x64!) (i32.const 8)))
)
