;; pow — Y = A to the B with broadcasting: 2^(b·log₂|a|) in f64, rounded to f32 once, with the special cases of
;; IEEE-754 pow. Every f64 operation rounds on its own on all tiers.
(module
  ;; 2^(y·(k + log₂ m)), √½ ≤ m ≤ √2; all f64x2. NaN in y passes.
  ;; With s = (m − 1) / (m + 1): log₂ m = s·P(s²); with r = v − round(v): 2^r = 1 + r·Q(r).
  (func $exp2_log2 (param $m v128) (param $k v128) (param $y v128) (result v128)
    (local $s v128) (local $z v128) (local $v v128) (local $t v128) (local $r v128)
    (local.set $s
      (f64x2.div
        (f64x2.sub (local.get $m) (f64x2.splat (f64.const 1)))
        (f64x2.add (local.get $m) (f64x2.splat (f64.const 1)))))
    (local.set $z (f64x2.mul (local.get $s) (local.get $s)))
    (local.set $v
      (f64x2.mul (local.get $y)
        (f64x2.add (local.get $k)
          (f64x2.mul (local.get $s)
            (call $madd_f64!
              (call $madd_f64!
                (call $madd_f64!
                  (call $madd_f64!
                    (call $madd_f64! (f64x2.splat (f64.const 0x1.21b12535c415dp-2))
                      (local.get $z) (f64.const 0x1.4795524b8cd16p-2))
                    (local.get $z) (f64.const 0x1.a61a2ee0c0101p-2))
                  (local.get $z) (f64.const 0x1.2776c29323a9dp-1))
                (local.get $z) (f64.const 0x1.ec709dc53c7c9p-1))
              (local.get $z) (f64.const 0x1.71547652b8251p+1))))))
    (local.set $v
      (f64x2.pmin
        (f64x2.pmax (local.get $v) (f64x2.splat (f64.const -160)))
        (f64x2.splat (f64.const 160))))
    (local.set $t (f64x2.add (local.get $v) (f64x2.splat (f64.const 0x1.8p+52))))
    (local.set $r
      (f64x2.sub (local.get $v) (f64x2.sub (local.get $t) (f64x2.splat (f64.const 0x1.8p+52)))))
    (f64x2.mul
      (call $madd_f64!
        (call $madd_f64!
          (call $madd_f64!
            (call $madd_f64!
              (call $madd_f64!
                (call $madd_f64!
                  (call $madd_f64!
                    (call $madd_f64! (f64x2.splat (f64.const 0x1.6735d93851dc2p-20))
                      (local.get $r) (f64.const 0x1.00e517c52ead4p-16))
                    (local.get $r) (f64.const 0x1.4307e124cc775p-13))
                  (local.get $r) (f64.const 0x1.5d873f343bebfp-10))
                (local.get $r) (f64.const 0x1.3b2ab57c735b8p-7))
              (local.get $r) (f64.const 0x1.c6b08dd3216efp-5))
            (local.get $r) (f64.const 0x1.ebfbdffb6a25cp-3))
          (local.get $r) (f64.const 0x1.62e42fef89cd1p-1))
        (local.get $r) (f64.const 1))
      (i64x2.add
        (i64x2.shl (local.get $t) (i32.const 52))
        (i64x2.splat (i64.const 0x3ff0000000000000)))))

  ;; a·b + c, two roundings on every tier.
  (func $madd_f64! (param $a v128) (param $b v128) (param $c f64) (result v128)
    (f64x2.add (f64x2.mul (local.get $a) (local.get $b)) (f64x2.splat (local.get $c))))

  ;; The first two lanes as f64x2, and lanes 2 and 3 moved to the front.
  (func $promote_two! (param $v v128) (result v128)
    (f64x2.replace_lane 1
      (f64x2.splat (f64.promote_f32 (f32x4.extract_lane 0 (local.get $v))))
      (f64.promote_f32 (f32x4.extract_lane 1 (local.get $v)))))
  (func $last_two! (param $v v128) (result v128)
    (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $v) (local.get $v)))
  (func $demote! (param $low v128) (param $high v128) (result v128)
    (f32x4.replace_lane 3
      (f32x4.replace_lane 2
        (f32x4.replace_lane 1
          (f32x4.splat (f32.demote_f64 (f64x2.extract_lane 0 (local.get $low))))
          (f32.demote_f64 (f64x2.extract_lane 1 (local.get $low))))
        (f32.demote_f64 (f64x2.extract_lane 0 (local.get $high))))
      (f32.demote_f64 (f64x2.extract_lane 1 (local.get $high)))))

  ;; x to the y for 0 < x < ∞; an infinite y counts as the largest finite one.
  (func $pow_positive! (param $x v128) (param $y v128) (result v128)
    (local $offset v128) (local $m v128) (local $k v128) (local $b v128)
    (local.set $offset (call $log_offset! (local.get $x)))
    (local.set $m (call $log_mantissa! (local.get $offset)))
    (local.set $k (call $log_exponent! (local.get $offset) (local.get $x)))
    (local.set $b
      (call $at_most!
        (call $at_least! (local.get $y) (f32.const -0x1.fffffep+127))
        (f32.const 0x1.fffffep+127)))
    (call $demote!
      (call $exp2_log2
        (call $promote_two! (local.get $m))
        (call $promote_two! (local.get $k))
        (call $promote_two! (local.get $b)))
      (call $exp2_log2
        (call $promote_two! (call $last_two! (local.get $m)))
        (call $promote_two! (call $last_two! (local.get $k)))
        (call $promote_two! (call $last_two! (local.get $b))))))

  (func $f32_pow_op! (param $a v128) (param $b v128) (result v128)
    (local $base v128) (local $zero v128) (local $one v128) (local $inf v128) (local $half v128)
    (local $fraction v128) (local $y v128)
    (local.set $base (f32x4.abs (local.get $a)))
    (local.set $zero (v128.const i32x4 0 0 0 0))
    (local.set $one (f32x4.splat (f32.const 1)))
    (local.set $inf (f32x4.splat (f32.const inf)))
    (local.set $fraction (f32x4.ne (f32x4.trunc (local.get $b)) (local.get $b)))
    (local.set $half (f32x4.mul (local.get $b) (f32x4.splat (f32.const 0.5))))
    ;; 0 and ∞: themselves, or their reciprocals below exponent 0.
    (local.set $y
      (v128.bitselect
        (v128.bitselect
          (f32x4.div (local.get $one) (local.get $base))
          (local.get $base)
          (f32x4.lt (local.get $b) (local.get $zero)))
        (call $pow_positive! (local.get $base) (local.get $b))
        (v128.or
          (f32x4.eq (local.get $base) (local.get $zero))
          (f32x4.eq (local.get $base) (local.get $inf)))))
    ;; Odd exponents keep the sign of the base.
    (local.set $y
      (v128.or (local.get $y)
        (v128.and
          (v128.and (local.get $a) (call $sign_bits!))
          (v128.andnot
            (f32x4.ne (f32x4.trunc (local.get $half)) (local.get $half))
            (local.get $fraction)))))
    ;; NaN: all ones.
    (local.set $y
      (v128.or (local.get $y)
        (v128.or
          (v128.or
            (f32x4.ne (local.get $a) (local.get $a))
            (f32x4.ne (local.get $b) (local.get $b)))
          (v128.and
            (local.get $fraction)
            (v128.and
              (f32x4.lt (local.get $a) (local.get $zero))
              (f32x4.lt (local.get $base) (local.get $inf)))))))
    (v128.bitselect (local.get $one) (local.get $y)
      (v128.or
        (f32x4.eq (local.get $b) (local.get $zero))
        (f32x4.eq (local.get $a) (local.get $one)))))

  (@kernel "f32_pow" (call $map2_x32! (ref.func $f32_pow_op!)))
)
