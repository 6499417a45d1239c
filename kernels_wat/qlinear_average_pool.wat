;; qlinear_average_pool — y[n,oh,ow,c] = saturate(round(Σ (x − zx)·(ratio / count)) + zy) for bytes, over the taps inside x
;; Order     the sum is exact (int32 wraps); one division, one product, clamp to [lo, hi], round to even, + zy; a count of 0 is 1
;; Layout    q: lo, hi and the sign flip of y as vectors (as $keep_bounds! writes them), then four words: sign flip of x, four
;;           times; −zx after that; ratio; 0x4b400000 − zy (as $base!)
(module
  (func $mean_of_bytes! (param $y i32) (param $p i32) (param $ny i32) (param $nx i32) (param $dy i32) (param $dx i32)
                        (param $count i32) (param $rest i32) (param $q i32)
    (local $tap i32) (local $taps i32) (local $left i32)
    (local $flip v128) (local $v v128) (local $a0 v128) (local $a1 v128) (local $m v128)
    (local $base v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (local.set $flip (v128.load32_splat offset=48 (local.get $q)))
    (local.set $s0
      (i32x4.splat (i32.mul (i32.mul (local.get $ny) (local.get $nx)) (i32.load offset=52 (local.get $q)))))
    (local.set $s1 (local.get $s0))
    (local.set $s2 (local.get $s0))
    (local.set $s3 (local.get $s0))
    (block $done
      (br_if $done (i32.eqz (local.get $nx)))
      (loop $rows
        (br_if $done (i32.eqz (local.get $ny)))
        (local.set $tap (local.get $p))
        (local.set $left (local.get $nx))
        ;; As many as int16 holds the sum of.
        (loop $runs
          (local.set $taps (call $min_u! (local.get $left) (i32.const 256)))
          (local.set $left (i32.sub (local.get $left) (local.get $taps)))
          (local.set $a0 (i32x4.splat (i32.const 0)))
          (local.set $a1 (local.get $a0))
          (loop $taps
            (local.set $v (v128.xor (v128.load (local.get $tap)) (local.get $flip)))
            (local.set $a0 (i16x8.add (local.get $a0) (i16x8.extend_low_i8x16_s (local.get $v))))
            (local.set $a1 (i16x8.add (local.get $a1) (i16x8.extend_high_i8x16_s (local.get $v))))
            (local.set $tap (i32.add (local.get $tap) (local.get $dx)))
            (br_if $taps (local.tee $taps (i32.sub (local.get $taps) (i32.const 1)))))
          (local.set $s0 (i32x4.add (local.get $s0) (i32x4.extend_low_i16x8_s (local.get $a0))))
          (local.set $s1 (i32x4.add (local.get $s1) (i32x4.extend_high_i16x8_s (local.get $a0))))
          (local.set $s2 (i32x4.add (local.get $s2) (i32x4.extend_low_i16x8_s (local.get $a1))))
          (local.set $s3 (i32x4.add (local.get $s3) (i32x4.extend_high_i16x8_s (local.get $a1))))
          (br_if $runs (local.get $left)))
        (local.set $p (i32.add (local.get $p) (local.get $dy)))
        (local.set $ny (i32.sub (local.get $ny) (i32.const 1)))
        (br $rows)))
    (local.set $m
      (f32x4.splat
        (f32.div
          (f32.load offset=56 (local.get $q))
          (f32.convert_i32_u (select (local.get $count) (i32.const 1) (local.get $count))))))
    (local.set $base (v128.load32_splat offset=60 (local.get $q)))
    (call $store_x8! (local.get $y)
      (call $clip_any!
        (i8x16.narrow_i16x8_s
          (call $requantize_any! (local.get $s0) (local.get $s1) (local.get $m) (local.get $m)
            (local.get $q) (local.get $base))
          (call $requantize_any! (local.get $s2) (local.get $s3) (local.get $m) (local.get $m)
            (local.get $q) (local.get $base)))
        (local.get $q))
      (local.get $rest)))

  (@kernel "x8_avgpool" (call $pool! (ref.func $mean_of_bytes!) (i32.const 16)))
)
