;; resize — one axis of x [outer][len][inner] resampled to y [outer][out][inner]
;; Order     taps = 1: y = x; else y = x·w of the first tap, then y = madd(x, w, y) for the others, ascending
;; Layout    x dense; blocks of y yo and their rows ldy bytes apart; index [taps][out + 3]: byte offset of the tap within the axis, i32 ·
;;           w [taps][out + 3] f32; the last three are 0, which vectors may read
;; Requires  taps = 1 or taps = 2 or taps = 4 · ldy = 4 where inner = 1
;; Writes    rows m0 ≤ o·out + j < m1 of y, each `inner` elements; reads up to 12 bytes past x
(module
  ;; One row, inner > 1: neighbouring elements in lanes, the taps' rows and weights in registers.
  (func $resize_row! (param $y i32) (param $x i32) (param $index i32) (param $w i32) (param $taps i32)
                     (param $plane i32) (param $end i32)
    (local $x0 i32) (local $x1 i32) (local $x2 i32) (local $x3 i32) (local $p i32)
    (local $w0 v128) (local $w1 v128) (local $w2 v128) (local $w3 v128)
    (local.set $p (i32.const 0))
    (local.set $x0 (i32.add (local.get $x) (i32.load (local.get $index))))
    (if (i32.eq (local.get $taps) (i32.const 1))
      (then
        (loop $copied
          (call $store_x32! (i32.add (local.get $y) (local.get $p))
            (v128.load (i32.add (local.get $x0) (local.get $p)))
            (i32.shr_u (i32.sub (local.get $end) (local.get $p)) (i32.const 2)))
          (br_if $copied
            (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $end)))))
      (else
        (local.set $w0 (v128.load32_splat (local.get $w)))
        (local.set $index (i32.add (local.get $index) (local.get $plane)))
        (local.set $w (i32.add (local.get $w) (local.get $plane)))
        (local.set $x1 (i32.add (local.get $x) (i32.load (local.get $index))))
        (local.set $w1 (v128.load32_splat (local.get $w)))
        (if (i32.eq (local.get $taps) (i32.const 2))
          (then
            (loop $linear
              (call $store_x32! (i32.add (local.get $y) (local.get $p))
                (call $madd! (v128.load (i32.add (local.get $x1) (local.get $p))) (local.get $w1)
                  (f32x4.mul (v128.load (i32.add (local.get $x0) (local.get $p))) (local.get $w0)))
                (i32.shr_u (i32.sub (local.get $end) (local.get $p)) (i32.const 2)))
              (br_if $linear
                (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $end)))))
          (else
            (local.set $index (i32.add (local.get $index) (local.get $plane)))
            (local.set $w (i32.add (local.get $w) (local.get $plane)))
            (local.set $x2 (i32.add (local.get $x) (i32.load (local.get $index))))
            (local.set $w2 (v128.load32_splat (local.get $w)))
            (local.set $x3 (i32.add (local.get $x) (i32.load (i32.add (local.get $index) (local.get $plane)))))
            (local.set $w3 (v128.load32_splat (i32.add (local.get $w) (local.get $plane))))
            (loop $cubic
              (call $store_x32! (i32.add (local.get $y) (local.get $p))
                (call $madd! (v128.load (i32.add (local.get $x3) (local.get $p))) (local.get $w3)
                  (call $madd! (v128.load (i32.add (local.get $x2) (local.get $p))) (local.get $w2)
                    (call $madd! (v128.load (i32.add (local.get $x1) (local.get $p))) (local.get $w1)
                      (f32x4.mul (v128.load (i32.add (local.get $x0) (local.get $p))) (local.get $w0)))))
                (i32.shr_u (i32.sub (local.get $end) (local.get $p)) (i32.const 2)))
              (br_if $cubic
                (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $end)))))))))

  ;; Elements of x at the four byte offsets that stand at `index`.
  (func $gather4! (param $x i32) (param $index i32) (result v128)
    (v128.load32_lane 3 (i32.add (local.get $x) (i32.load offset=12 (local.get $index)))
      (v128.load32_lane 2 (i32.add (local.get $x) (i32.load offset=8 (local.get $index)))
        (v128.load32_lane 1 (i32.add (local.get $x) (i32.load offset=4 (local.get $index)))
          (v128.load32_zero (i32.add (local.get $x) (i32.load (local.get $index))))))))

  (func $f32_resize (export "f32_resize")
    (param $y i32) (param $x i32) (param $index i32) (param $w i32)
    (param $taps i32) (param $len i32) (param $out i32) (param $inner i32) (param $yo i32) (param $ldy i32)
    (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $o i32) (local $j i32) (local $row i32) (local $plane i32) (local $t i32) (local $count i32)
    (local $py i32) (local $pi i32) (local $pw i32) (local $acc v128)
    (local.set $row (i32.shl (local.get $inner) (i32.const 2)))
    (local.set $plane (i32.shl (i32.add (local.get $out) (i32.const 3)) (i32.const 2)))
    (local.set $m (local.get $m0))
    (block $done
      (br_if $done (i32.eqz (local.get $inner)))
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $o (i32.div_u (local.get $m) (local.get $out)))
        (local.set $j (i32.sub (local.get $m) (i32.mul (local.get $o) (local.get $out))))
        (local.set $py
          (i32.add (local.get $y)
            (i32.add (i32.mul (local.get $o) (local.get $yo)) (i32.mul (local.get $j) (local.get $ldy)))))
        (local.set $o
          (i32.add (local.get $x) (i32.mul (i32.mul (local.get $o) (local.get $len)) (local.get $row))))
        (local.set $pi (i32.add (local.get $index) (i32.shl (local.get $j) (i32.const 2))))
        (local.set $pw (i32.add (local.get $w) (i32.shl (local.get $j) (i32.const 2))))
        (if (i32.eq (local.get $inner) (i32.const 1))
          (then
            ;; Neighbouring outputs in lanes, their taps gathered.
            (local.set $count
              (call $min_u! (i32.sub (local.get $out) (local.get $j)) (i32.sub (local.get $m1) (local.get $m))))
            (local.set $acc (call $gather4! (local.get $o) (local.get $pi)))
            (if (i32.ne (local.get $taps) (i32.const 1))
              (then
                (local.set $acc (f32x4.mul (local.get $acc) (v128.load (local.get $pw))))
                (local.set $t (i32.sub (local.get $taps) (i32.const 1)))
                (loop $taps_left
                  (local.set $pi (i32.add (local.get $pi) (local.get $plane)))
                  (local.set $pw (i32.add (local.get $pw) (local.get $plane)))
                  (local.set $acc
                    (call $madd! (call $gather4! (local.get $o) (local.get $pi)) (v128.load (local.get $pw))
                      (local.get $acc)))
                  (br_if $taps_left (local.tee $t (i32.sub (local.get $t) (i32.const 1)))))))
            (call $store_x32! (local.get $py) (local.get $acc) (local.get $count))
            (local.set $m (i32.add (local.get $m) (call $min_u! (local.get $count) (i32.const 4)))))
          (else
            (call $resize_row! (local.get $py)
              (local.get $o) (local.get $pi) (local.get $pw) (local.get $taps) (local.get $plane) (local.get $row))
            (local.set $m (i32.add (local.get $m) (i32.const 1)))))
        (br $rows))))
)
