;; quantize_linear — Y = saturate(round(X / scale) + zero point), NaN to 0, and the scale and zero point of a whole tensor
(module
  ;; The byte at p, its sign flipped by f, as an integer.
  (func $byte! (param $p i32) (param $f i32) (result i32)
    (i32.extend8_s (i32.xor (i32.load8_u (local.get $p)) (local.get $f))))

  ;; saturate(round(v / s) + z) − o as int32; NaN becomes 0 before o is subtracted.
  (func $quantize_x32! (param $v v128) (param $s v128) (param $z v128) (param $lo v128) (param $hi v128) (param $o v128)
                       (result v128)
    (i32x4.sub
      (i32x4.trunc_sat_f32x4_s
        (call $clamp!
          (f32x4.add (f32x4.nearest (f32x4.div (local.get $v) (local.get $s))) (local.get $z))
          (local.get $lo) (local.get $hi)))
      (local.get $o)))

  ;; f32_quantize — q = nearest(x / scale) + zero point, clamped to the eight bits, as an integer
  ;; Order     one division, round to even, one sum, clamp, truncate (NaN to 0)
  ;; Layout    x, y dense · scale: one float · zero: one byte of y's type · f: 0x80 for uint8, 0 for int8
  ;; Writes    elements m0 ≤ i < m1
  (func $f32_quantize (export "f32_quantize")
    (param $y i32) (param $x i32) (param $scale i32) (param $zero i32) (param $f i32) (param $m0 i32) (param $m1 i32)
    (local $s v128) (local $z v128) (local $lo v128) (local $hi v128) (local $o v128) (local $flip v128)
    (local $i i32) (local $p i32)
    (local.set $flip (call $flip! (local.get $f)))
    (local.set $o (i32x4.splat (local.get $f)))
    (local.set $s (v128.load32_splat (local.get $scale)))
    (local.set $z (f32x4.convert_i32x4_s (i32x4.splat (i32.add (call $byte! (local.get $zero) (local.get $f)) (local.get $f)))))
    (local.set $lo (f32x4.convert_i32x4_s (i32x4.splat (i32.sub (local.get $f) (i32.const 128)))))
    (local.set $hi (f32x4.convert_i32x4_s (i32x4.splat (i32.add (local.get $f) (i32.const 127)))))
    (local.set $i (local.get $m0))
    (block $done
      (loop $vectors
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $p (i32.add (local.get $x) (i32.shl (local.get $i) (i32.const 2))))
        (call $store_x8! (i32.add (local.get $y) (local.get $i))
          (v128.xor
            (i8x16.narrow_i16x8_s
              (i16x8.narrow_i32x4_s
                (call $quantize_x32! (v128.load (local.get $p))
                  (local.get $s) (local.get $z) (local.get $lo) (local.get $hi) (local.get $o))
                (call $quantize_x32! (v128.load offset=16 (local.get $p))
                  (local.get $s) (local.get $z) (local.get $lo) (local.get $hi) (local.get $o)))
              (i16x8.narrow_i32x4_s
                (call $quantize_x32! (v128.load offset=32 (local.get $p))
                  (local.get $s) (local.get $z) (local.get $lo) (local.get $hi) (local.get $o))
                (call $quantize_x32! (v128.load offset=48 (local.get $p))
                  (local.get $s) (local.get $z) (local.get $lo) (local.get $hi) (local.get $o))))
            (local.get $flip))
          (i32.sub (local.get $m1) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br $vectors))))

  ;; f32_quantize_range — scale and zero point (uint8) that map the range of x, widened to hold 0, to 0…255
  ;; Order     lo, hi: extremes of 0 and all x but NaN; scale = (hi − lo) / 255, 1 if that is 0;
  ;;           zero = clamp(nearest(0 − lo / scale), 0, 255), NaN to 0
  ;; Writes    scale: one float, zero: one byte; m0:m1 is 0:1, all of the work
  (func $f32_quantize_range (export "f32_quantize_range")
    (param $scale i32) (param $zero i32) (param $x i32) (param $n i32) (param $m0 i32) (param $m1 i32)
    (local $lo v128) (local $hi v128) (local $v v128) (local $i i32) (local $l f32) (local $s f32)
    (if (i32.lt_u (local.get $m0) (local.get $m1))
      (then
        (local.set $lo (f32x4.splat (f32.const 0)))
        (local.set $hi (local.get $lo))
        (local.set $i (i32.const 0))
        (block $fours_done
          (loop $fours
            (br_if $fours_done (i32.gt_u (i32.add (local.get $i) (i32.const 4)) (local.get $n)))
            (local.set $v (v128.load (i32.add (local.get $x) (i32.shl (local.get $i) (i32.const 2)))))
            (local.set $lo (f32x4.pmin (local.get $lo) (local.get $v)))
            (local.set $hi (f32x4.pmax (local.get $hi) (local.get $v)))
            (local.set $i (i32.add (local.get $i) (i32.const 4)))
            (br $fours)))
        (block $ones_done
          (loop $ones
            (br_if $ones_done (i32.ge_u (local.get $i) (local.get $n)))
            (local.set $v (v128.load32_splat (i32.add (local.get $x) (i32.shl (local.get $i) (i32.const 2)))))
            (local.set $lo (f32x4.pmin (local.get $lo) (local.get $v)))
            (local.set $hi (f32x4.pmax (local.get $hi) (local.get $v)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $ones)))
        (local.set $lo
          (f32x4.pmin (local.get $lo) (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $lo) (local.get $lo))))
        (local.set $hi
          (f32x4.pmax (local.get $hi) (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $hi) (local.get $hi))))
        (local.set $lo
          (f32x4.pmin (local.get $lo) (i8x16.shuffle 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 (local.get $lo) (local.get $lo))))
        (local.set $hi
          (f32x4.pmax (local.get $hi) (i8x16.shuffle 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 (local.get $hi) (local.get $hi))))
        (local.set $l (f32x4.extract_lane 0 (local.get $lo)))
        (local.set $s (f32.div (f32.sub (f32x4.extract_lane 0 (local.get $hi)) (local.get $l)) (f32.const 255)))
        (local.set $s (select (f32.const 1) (local.get $s) (f32.eq (local.get $s) (f32.const 0))))
        (f32.store (local.get $scale) (local.get $s))
        (local.set $v (f32x4.splat (f32.nearest (f32.sub (f32.const 0) (f32.div (local.get $l) (local.get $s))))))
        (i32.store8 (local.get $zero)
          (i32x4.extract_lane 0
            (i32x4.trunc_sat_f32x4_s
              (call $clamp! (local.get $v) (f32x4.splat (f32.const 0)) (f32x4.splat (f32.const 255)))))))))
)
