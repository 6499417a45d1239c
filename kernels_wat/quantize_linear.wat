;; quantize_linear — Y = saturate(round(X / scale) + zero point), NaN to 0, and the scale and zero point of a whole tensor
(module
  ;; The byte at p, its sign flipped by f, as an integer.
  (func $byte! (param $p i32) (param $f i32) (result i32)
    (i32.extend8_s (i32.xor (i32.load8_u (local.get $p)) (local.get $f))))

  ;; saturate(round(v / s) + z) − o as int32; NaN becomes 0 before o is subtracted. lo, hi: the ends of the range less z;
  ;; base: see $nearest_x32!. A clamp to whole numbers before rounding is one after it.
  (func $quantize_x32! (param $v v128) (param $s v128) (param $lo v128) (param $hi v128) (param $base v128) (param $o v128)
                       (result v128)
    (local $q v128)
    (local.set $q (f32x4.div (local.get $v) (local.get $s)))
    (i32x4.sub
      (v128.and
        (call $round_x32! (local.get $q) (local.get $lo) (local.get $hi) (local.get $base))
        (f32x4.eq (local.get $q) (local.get $q)))
      (local.get $o)))

  ;; An end of the range of bytes, `end` of int8, less the zero point at p; f: 0x80 for uint8.
  (func $end_less_zero! (param $end i32) (param $p i32) (param $f i32) (result v128)
    (f32x4.convert_i32x4_s (i32x4.splat (i32.sub (local.get $end) (call $byte! (local.get $p) (local.get $f))))))

  ;; f32_quantize — q = nearest(x / scale) + zero point, clamped to the eight bits, as an integer
  ;; Order     one division, clamp, round to even, + zero point; NaN to 0
  ;; Layout    x, y dense · scale: one float · zero: one byte of y's type · f: 0x80 for uint8, 0 for int8
  ;; Writes    elements m0 ≤ i < m1
  (func $f32_quantize (export "f32_quantize")
    (param $y i32) (param $x i32) (param $scale i32) (param $zero i32) (param $f i32) (param $m0 i32) (param $m1 i32)
    (local $s v128) (local $base v128) (local $lo v128) (local $hi v128) (local $o v128) (local $flip v128)
    (local $i i32) (local $p i32)
    (local.set $flip (call $flip! (local.get $f)))
    (local.set $o (i32x4.splat (local.get $f)))
    (local.set $s (v128.load32_splat (local.get $scale)))
    (local.set $lo (call $end_less_zero! (i32.const -128) (local.get $zero) (local.get $f)))
    (local.set $hi (call $end_less_zero! (i32.const 127) (local.get $zero) (local.get $f)))
    (local.set $base (call $base! (i32.add (call $byte! (local.get $zero) (local.get $f)) (local.get $f))))
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
                  (local.get $s) (local.get $lo) (local.get $hi) (local.get $base) (local.get $o))
                (call $quantize_x32! (v128.load offset=16 (local.get $p))
                  (local.get $s) (local.get $lo) (local.get $hi) (local.get $base) (local.get $o)))
              (i16x8.narrow_i32x4_s
                (call $quantize_x32! (v128.load offset=32 (local.get $p))
                  (local.get $s) (local.get $lo) (local.get $hi) (local.get $base) (local.get $o))
                (call $quantize_x32! (v128.load offset=48 (local.get $p))
                  (local.get $s) (local.get $lo) (local.get $hi) (local.get $base) (local.get $o))))
            (local.get $flip))
          (i32.sub (local.get $m1) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br $vectors))))

  ;; f32_quantize_pixels — the same from 2 ≤ c ≤ 4 planes of n floats, side by side, to n pixels of c bytes
  ;; Writes    pixels m0 ≤ i < m1; reads every plane up to 12 bytes further
  (func $f32_quantize_pixels (export "f32_quantize_pixels")
    (param $y i32) (param $x i32) (param $scale i32) (param $zero i32) (param $f i32) (param $c i32) (param $n i32)
    (param $m0 i32) (param $m1 i32)
    (local $s v128) (local $base v128) (local $lo v128) (local $hi v128) (local $o v128) (local $flip v128) (local $byte v128)
    (local $i i32) (local $j i32) (local $p i32) (local $v v128)
    (local.set $flip (call $flip! (local.get $f)))
    (local.set $o (i32x4.splat (local.get $f)))
    (local.set $s (v128.load32_splat (local.get $scale)))
    (local.set $lo (call $end_less_zero! (i32.const -128) (local.get $zero) (local.get $f)))
    (local.set $hi (call $end_less_zero! (i32.const 127) (local.get $zero) (local.get $f)))
    (local.set $base (call $base! (i32.add (call $byte! (local.get $zero) (local.get $f)) (local.get $f))))
    (local.set $byte (i32x4.splat (i32.const 255)))
    (local.set $i (local.get $m0))
    (block $done
      (loop $fours
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        ;; From the last plane to the first, which comes to be the low byte.
        (local.set $p
          (i32.add (local.get $x)
            (i32.shl (i32.add (i32.mul (local.get $c) (local.get $n)) (local.get $i)) (i32.const 2))))
        (local.set $v (v128.const i64x2 0 0))
        (local.set $j (local.get $c))
        (loop $planes
          (local.set $p (i32.sub (local.get $p) (i32.shl (local.get $n) (i32.const 2))))
          (local.set $v
            (v128.or
              (i32x4.shl (local.get $v) (i32.const 8))
              (v128.and
                (call $quantize_x32! (v128.load (local.get $p))
                  (local.get $s) (local.get $lo) (local.get $hi) (local.get $base) (local.get $o))
                (local.get $byte))))
          (br_if $planes (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
        ;; The c low bytes of four words side by side.
        (if (i32.eq (local.get $c) (i32.const 3))
          (then
            (local.set $v (i8x16.shuffle 0 1 2 4 5 6 8 9 10 12 13 14 0 0 0 0 (local.get $v) (local.get $v)))))
        (if (i32.eq (local.get $c) (i32.const 2))
          (then
            (local.set $v (i8x16.shuffle 0 1 4 5 8 9 12 13 0 0 0 0 0 0 0 0 (local.get $v) (local.get $v)))))
        ;; What is stored beyond four pixels belongs to the next ones, which follow.
        (call $store_x8! (i32.add (local.get $y) (i32.mul (local.get $i) (local.get $c)))
          (v128.xor (local.get $v) (local.get $flip))
          (i32.mul (local.get $c) (i32.sub (local.get $m1) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br $fours))))

  ;; f32_quantize_range — scale and zero point (uint8) that map the range of x, widened to hold 0, to 0…255
  ;; Order     lo, hi: extremes of 0 and all x but NaN; scale = (hi − lo) / 255, 1 if that is 0;
  ;;           zero = clamp(nearest(0 − lo / scale), 0, 255), NaN to 0
  ;; Writes    scale: one float, zero: one byte; m0:m1 is 0:1, all of the work
  (func $f32_quantize_range (export "f32_quantize_range")
    (param $scale i32) (param $zero i32) (param $x i32) (param $n i32) (param $m0 i32) (param $m1 i32)
    (local $lo v128) (local $hi v128) (local $v v128) (local $p i32) (local $end i32) (local $l f32) (local $s f32)
    (local $lo1 v128) (local $hi1 v128) (local $lo2 v128) (local $hi2 v128) (local $lo3 v128) (local $hi3 v128)
    (if (i32.lt_u (local.get $m0) (local.get $m1))
      (then
        (local.set $p (local.get $x))
        (local.set $end (i32.add (local.get $x) (i32.shl (local.get $n) (i32.const 2))))
        (local.set $lo (f32x4.splat (f32.const 0)))
        (local.set $hi (local.get $lo))
        (local.set $lo1 (local.get $lo)) (local.set $hi1 (local.get $lo))
        (local.set $lo2 (local.get $lo)) (local.set $hi2 (local.get $lo))
        (local.set $lo3 (local.get $lo)) (local.set $hi3 (local.get $lo))
        (block $sixteens_done
          (loop $sixteens
            (br_if $sixteens_done (i32.gt_u (i32.add (local.get $p) (i32.const 64)) (local.get $end)))
            (local.set $v (v128.load (local.get $p)))
            (local.set $lo (f32x4.pmin (local.get $lo) (local.get $v)))
            (local.set $hi (f32x4.pmax (local.get $hi) (local.get $v)))
            (local.set $v (v128.load offset=16 (local.get $p)))
            (local.set $lo1 (f32x4.pmin (local.get $lo1) (local.get $v)))
            (local.set $hi1 (f32x4.pmax (local.get $hi1) (local.get $v)))
            (local.set $v (v128.load offset=32 (local.get $p)))
            (local.set $lo2 (f32x4.pmin (local.get $lo2) (local.get $v)))
            (local.set $hi2 (f32x4.pmax (local.get $hi2) (local.get $v)))
            (local.set $v (v128.load offset=48 (local.get $p)))
            (local.set $lo3 (f32x4.pmin (local.get $lo3) (local.get $v)))
            (local.set $hi3 (f32x4.pmax (local.get $hi3) (local.get $v)))
            (local.set $p (i32.add (local.get $p) (i32.const 64)))
            (br $sixteens)))
        (block $ones_done
          (loop $ones
            (br_if $ones_done (i32.ge_u (local.get $p) (local.get $end)))
            (local.set $v (v128.load32_splat (local.get $p)))
            (local.set $lo (f32x4.pmin (local.get $lo) (local.get $v)))
            (local.set $hi (f32x4.pmax (local.get $hi) (local.get $v)))
            (local.set $p (i32.add (local.get $p) (i32.const 4)))
            (br $ones)))
        (local.set $lo (f32x4.pmin (f32x4.pmin (local.get $lo) (local.get $lo1)) (f32x4.pmin (local.get $lo2) (local.get $lo3))))
        (local.set $hi (f32x4.pmax (f32x4.pmax (local.get $hi) (local.get $hi1)) (f32x4.pmax (local.get $hi2) (local.get $hi3))))
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
