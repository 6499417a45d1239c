;; reduce_sum — y[o,i] = Σj x[o,j,i] over x [outer][n][inner]
;; Order     four lanes from +0, lane l adds j = l, l+4, l+8, … ascending; then (l0 + l2) + (l1 + l3).
;;           Elements past n count as +0, which no lane notices: a lane that starts at +0 never holds -0.
;; Writes    outputs m0 ≤ o·inner + i < m1; reads up to 12 bytes past x
(module
  ;; inner = 1: one output per row, lanes are neighbouring elements.
  (func $sum_row! (param $x i32) (param $n i32) (result f32)
    (local $p i32) (local $end i32) (local $lanes v128) (local $rest i32)
    (local.set $p (local.get $x))
    (local.set $end (i32.add (local.get $x) (i32.shl (i32.and (local.get $n) (i32.const -4)) (i32.const 2))))
    (local.set $rest (i32.and (local.get $n) (i32.const 3)))
    (local.set $lanes (v128.const i32x4 0 0 0 0))
    (block $vectors_done
      (loop $vectors
        (br_if $vectors_done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $lanes (f32x4.add (local.get $lanes) (v128.load (local.get $p))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (br $vectors)))
    (if (local.get $rest)
      (then
        (local.set $lanes
          (f32x4.add (local.get $lanes)
            (v128.and (v128.load (local.get $p))
              (i32x4.lt_s (v128.const i32x4 0 1 2 3) (i32x4.splat (local.get $rest))))))))
    (local.set $lanes
      (f32x4.add (local.get $lanes)
        (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $lanes) (local.get $lanes))))
    (f32.add (f32x4.extract_lane 0 (local.get $lanes)) (f32x4.extract_lane 1 (local.get $lanes))))

  ;; inner > 1: four neighbouring outputs, lanes are four accumulators; `step` is the distance of j in bytes.
  (func $sum_columns! (param $x i32) (param $n i32) (param $step i32) (result v128)
    (local $p i32) (local $j i32) (local $l0 v128) (local $l1 v128) (local $l2 v128) (local $l3 v128)
    (local.set $p (local.get $x))
    (local.set $j (local.get $n))
    (local.set $l0 (v128.const i32x4 0 0 0 0))
    (local.set $l1 (v128.const i32x4 0 0 0 0))
    (local.set $l2 (v128.const i32x4 0 0 0 0))
    (local.set $l3 (v128.const i32x4 0 0 0 0))
    (block $done
      (loop $rounds
        (br_if $done (i32.eqz (local.get $j)))
        (local.set $l0 (f32x4.add (local.get $l0) (v128.load (local.get $p))))
        (br_if $done (i32.eqz (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (local.set $l1 (f32x4.add (local.get $l1) (v128.load (local.get $p))))
        (br_if $done (i32.eqz (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (local.set $l2 (f32x4.add (local.get $l2) (v128.load (local.get $p))))
        (br_if $done (i32.eqz (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (local.set $l3 (f32x4.add (local.get $l3) (v128.load (local.get $p))))
        (local.set $j (i32.sub (local.get $j) (i32.const 1)))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (br $rounds)))
    (f32x4.add
      (f32x4.add (local.get $l0) (local.get $l2))
      (f32x4.add (local.get $l1) (local.get $l3))))

  (func $f32_reduce_sum (export "f32_reduce_sum")
    (param $y i32) (param $x i32) (param $n i32) (param $inner i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $o i32) (local $i i32) (local $count i32)
    (local.set $m (local.get $m0))
    (block $done
      (loop $outputs
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (if (i32.eq (local.get $inner) (i32.const 1))
          (then
            (f32.store (i32.add (local.get $y) (i32.shl (local.get $m) (i32.const 2)))
              (call $sum_row!
                (i32.add (local.get $x) (i32.shl (i32.mul (local.get $m) (local.get $n)) (i32.const 2)))
                (local.get $n)))
            (local.set $m (i32.add (local.get $m) (i32.const 1))))
          (else
            (local.set $o (i32.div_u (local.get $m) (local.get $inner)))
            (local.set $i (i32.sub (local.get $m) (i32.mul (local.get $o) (local.get $inner))))
            (local.set $count
              (call $min_u! (i32.const 4)
                (call $min_u!
                  (i32.sub (local.get $inner) (local.get $i))
                  (i32.sub (local.get $m1) (local.get $m)))))
            (call $store_x32!
              (i32.add (local.get $y) (i32.shl (local.get $m) (i32.const 2)))
              (call $sum_columns!
                (i32.add (local.get $x)
                  (i32.shl
                    (i32.add (i32.mul (i32.mul (local.get $o) (local.get $n)) (local.get $inner)) (local.get $i))
                    (i32.const 2)))
                (local.get $n)
                (i32.shl (local.get $inner) (i32.const 2)))
              (local.get $count))
            (local.set $m (i32.add (local.get $m) (local.get $count)))))
        (br $outputs))))
)
