;; resize_bytes — one axis of x [outer][len][inner] resampled to y [outer][out][inner], bytes
;; Order     y = (x0·w0 + x1·w1 + 2¹³) >> 14, exact; w0 + w1 = 2¹⁴, so zero points pass
;; Layout    x dense; blocks of y yo and their rows ldy bytes apart; table: for each of `out` three words: byte offsets of both
;;           taps within the axis, the weights as two int16 · f: 0x80 for uint8, 0 for int8
;; Writes    rows m0 ≤ o·out + j < m1 of y, each `inner` bytes; reads up to 15 bytes past x
(module
  ;; Four sums as results, of four pairs of bytes that are int16 already.
  (func $weighed! (param $pairs v128) (param $w v128) (result v128)
    (i32x4.shr_s
      (i32x4.add (i32x4.dot_i16x8_s (local.get $pairs) (local.get $w)) (i32x4.splat (i32.const 0x2000)))
      (i32.const 14)))

  ;; Eight results as int16, of eight pairs of bytes.
  (func $weighed8! (param $pairs v128) (param $w v128) (result v128)
    (i16x8.narrow_i32x4_s
      (call $weighed! (i16x8.extend_low_i8x16_s (local.get $pairs)) (local.get $w))
      (call $weighed! (i16x8.extend_high_i8x16_s (local.get $pairs)) (local.get $w))))

  (func $x8_resize (export "x8_resize")
    (param $y i32) (param $x i32) (param $table i32) (param $f i32)
    (param $len i32) (param $out i32) (param $inner i32) (param $yo i32) (param $ldy i32) (param $m0 i32) (param $m1 i32)
    (local $o i32) (local $j i32) (local $row i32) (local $p0 i32) (local $p1 i32) (local $py i32) (local $rest i32)
    (local $w v128) (local $flip v128) (local $a v128) (local $b v128)
    (local.set $flip (call $flip! (local.get $f)))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m0) (local.get $m1)))
        (local.set $o (i32.div_u (local.get $m0) (local.get $out)))
        (local.set $j (i32.sub (local.get $m0) (i32.mul (local.get $o) (local.get $out))))
        (local.set $py
          (i32.add (local.get $y)
            (i32.add (i32.mul (local.get $o) (local.get $yo)) (i32.mul (local.get $j) (local.get $ldy)))))
        (local.set $row (i32.add (local.get $table) (i32.mul (local.get $j) (i32.const 12))))
        (local.set $p1
          (i32.add (local.get $x) (i32.mul (i32.mul (local.get $o) (local.get $len)) (local.get $inner))))
        (local.set $p0 (i32.add (local.get $p1) (i32.load (local.get $row))))
        (local.set $p1 (i32.add (local.get $p1) (i32.load offset=4 (local.get $row))))
        (local.set $w (v128.load32_splat offset=8 (local.get $row)))
        (local.set $rest (local.get $inner))
        (loop $vectors
          (local.set $a (v128.load (local.get $p0)))
          (if (i32.ne (local.get $p0) (local.get $p1))
            (then
              (local.set $a (v128.xor (local.get $a) (local.get $flip)))
              (local.set $b (v128.xor (v128.load (local.get $p1)) (local.get $flip)))
              (local.set $a
                (v128.xor
                  (i8x16.narrow_i16x8_s
                    (call $weighed8!
                      (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a) (local.get $b)) (local.get $w))
                    (call $weighed8!
                      (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a) (local.get $b))
                      (local.get $w)))
                  (local.get $flip)))))
          (call $store_x8! (local.get $py) (local.get $a) (local.get $rest))
          (local.set $p0 (i32.add (local.get $p0) (i32.const 16)))
          (local.set $p1 (i32.add (local.get $p1) (i32.const 16)))
          (local.set $py (i32.add (local.get $py) (i32.const 16)))
          (br_if $vectors (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 16))) (i32.const 0))))
        (local.set $m0 (i32.add (local.get $m0) (i32.const 1)))
        (br $rows))))
)
