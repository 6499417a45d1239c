;; qlinear_average_pool — Y[n,c] = saturate(round((b + Σ X[n,:,c])·s) + zero point) over all pixels of channels-last bytes
;; Order     the sum is exact (int32 wraps); one product, clamp to [lo, hi], round to even, + zy
;; Layout    x images of p pixels, c bytes each, signs flipped by fx; y dense, signs flipped by fy · b: −p·(zero point of x)
;; Writes    outputs m0 ≤ n·c + channel < m1
(module
  (func $x8_qgap (export "x8_qgap")
    (param $y i32) (param $x i32) (param $s f32) (param $lo f32) (param $hi f32) (param $b i32)
    (param $zy i32) (param $fy i32) (param $fx i32) (param $p i32) (param $c i32) (param $m0 i32) (param $m1 i32)
    (local $vs v128) (local $vlo v128) (local $vhi v128) (local $base v128) (local $vfy v128) (local $vfx v128)
    (local $m i32) (local $image i32) (local $channel i32) (local $count i32) (local $q i32) (local $left i32)
    (local $low v128) (local $high v128) (local $v v128)
    (local.set $vs (f32x4.splat (local.get $s)))
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $base (call $base! (local.get $zy)))
    (local.set $vfy (call $flip! (local.get $fy)))
    (local.set $vfx (call $flip! (local.get $fx)))
    (local.set $m (local.get $m0))
    (block $done
      (loop $blocks
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $image (i32.div_u (local.get $m) (local.get $c)))
        (local.set $channel (i32.sub (local.get $m) (i32.mul (local.get $image) (local.get $c))))
        (local.set $count
          (call $min_u! (i32.const 8)
            (call $min_u! (i32.sub (local.get $c) (local.get $channel)) (i32.sub (local.get $m1) (local.get $m)))))
        (local.set $q
          (i32.add (local.get $x)
            (i32.add (i32.mul (local.get $image) (i32.mul (local.get $p) (local.get $c))) (local.get $channel))))
        (local.set $low (i32x4.splat (local.get $b)))
        (local.set $high (local.get $low))
        (local.set $left (local.get $p))
        (loop $pixels
          (local.set $v (i16x8.extend_low_i8x16_s (v128.xor (v128.load64_zero (local.get $q)) (local.get $vfx))))
          (local.set $low (i32x4.add (local.get $low) (i32x4.extend_low_i16x8_s (local.get $v))))
          (local.set $high (i32x4.add (local.get $high) (i32x4.extend_high_i16x8_s (local.get $v))))
          (local.set $q (i32.add (local.get $q) (local.get $c)))
          (br_if $pixels (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $store8_x16! (i32.add (local.get $y) (local.get $m))
          (i16x8.narrow_i32x4_s
            (call $round_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $low)) (local.get $vs))
              (local.get $vlo) (local.get $vhi) (local.get $base))
            (call $round_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $high)) (local.get $vs))
              (local.get $vlo) (local.get $vhi) (local.get $base)))
          (local.get $vfy) (local.get $count))
        (local.set $m (i32.add (local.get $m) (local.get $count)))
        (br $blocks))))
)
