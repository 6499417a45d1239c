;; lib_math — elementary functions on four lanes, operation by operation those of the reference. v128 constants are
;; written as splats: 7 bytes instead of 18. Polynomials are minimax fits, highest coefficient innermost.
(module
  ;; The sign bit of every lane.
  (func $sign_bits! (result v128)
    (i32x4.splat (i32.const 0x80000000)))

  ;; max(x, bound) and min(x, bound); NaN passes.
  (func $at_least! (param $x v128) (param $bound f32) (result v128)
    (f32x4.pmax (local.get $x) (f32x4.splat (local.get $bound))))
  (func $at_most! (param $x v128) (param $bound f32) (result v128)
    (f32x4.pmin (local.get $x) (f32x4.splat (local.get $bound))))

  ;; x·log₂e rounded to an integer n by adding 1.5·2²³ + k, whose low bits then hold n + k.
  (func $exp_steps! (param $x v128) (param $rounder f32) (result v128)
    (call $madd! (local.get $x)
      (f32x4.splat (f32.const 0x1.715476p+0))    ;; log₂e
      (f32x4.splat (local.get $rounder))))

  ;; e^r − 1 = r + r²·P(r), r = x − n·ln 2 in two parts (Cody and Waite), |r| ≤ ln(2)/2; t from $exp_steps!.
  (func $exp_rest! (param $x v128) (param $t v128) (param $rounder f32) (result v128)
    (local $n v128) (local $r v128) (local $p v128)
    (local.set $n (f32x4.sub (local.get $t) (f32x4.splat (local.get $rounder))))
    (local.set $r
      (call $madd! (local.get $n) (f32x4.splat (f32.const -0x1.7f7d1cp-20))      ;; ln 2 − its high part
        (call $madd! (local.get $n) (f32x4.splat (f32.const -0x1.62e4p-1))       ;; ln 2, 15 bits: n·this is exact
          (local.get $x))))
    (local.set $p
      (call $madd! (f32x4.splat (f32.const 0x1.6abf3ap-10)) (local.get $r) (f32x4.splat (f32.const 0x1.122c26p-7))))
    (local.set $p (call $madd! (local.get $p) (local.get $r) (f32x4.splat (f32.const 0x1.55579cp-5))))
    (local.set $p (call $madd! (local.get $p) (local.get $r) (f32x4.splat (f32.const 0x1.5554aap-3))))
    (local.set $p (call $madd! (local.get $p) (local.get $r) (f32x4.splat (f32.const 0x1.fffffep-2))))
    (call $madd! (f32x4.mul (local.get $r) (local.get $r)) (local.get $p) (local.get $r)))

  ;; 2ⁿ for the n in the low bits of the lanes, −126 ≤ n ≤ 127.
  (func $power_of_two! (param $n v128) (result v128)
    (i32x4.add (i32x4.shl (local.get $n) (i32.const 23)) (i32x4.splat (i32.const 0x3f800000))))

  ;; eˣ; scaled by 2^⌊n/2⌋ and by the rest, so that subnormal results are rounded once.
  (func $exp! (param $x v128) (result v128)
    (local $c v128) (local $t v128) (local $half v128)
    (local.set $c (call $at_most! (call $at_least! (local.get $x) (f32.const -104.5)) (f32.const 89)))
    (local.set $t (call $exp_steps! (local.get $c) (f32.const 0x1.8p+23)))
    (local.set $half (i32x4.shr_s (local.get $t) (i32.const 1)))
    (f32x4.mul
      (f32x4.mul
        (f32x4.add (f32x4.splat (f32.const 1))
          (call $exp_rest! (local.get $c) (local.get $t) (f32.const 0x1.8p+23)))
        (call $power_of_two! (local.get $half)))
      (call $power_of_two! (i32x4.sub (local.get $t) (local.get $half)))))

  ;; eˣ·2⁶⁵ for −104.5 ≤ x ≤ 42, as s·(e^r − 1) + s. The low bits of t are n + 65 and the bias of exponents, 127: s, shifted.
  (func $exp_scaled! (param $x v128) (result v128)
    (local $t v128) (local $scale v128)
    (local.set $t (call $exp_steps! (local.get $x) (f32.const 0x1.80018p+23)))
    (local.set $scale (i32x4.shl (local.get $t) (i32.const 23)))
    (call $madd! (local.get $scale)
      (call $exp_rest! (local.get $x) (local.get $t) (f32.const 0x1.80018p+23))
      (local.get $scale)))

  ;; $exp! of what is not positive. Below −104 it is 0, which is not left to the product: processors take some hundred
  ;; cycles for a product that is too small, and most of what is masked is -∞.
  (func $exp_of_negative! (param $x v128) (result v128)
    (f32x4.mul
      (v128.andnot
        (call $exp_scaled! (local.get $x))
        (f32x4.lt (local.get $x) (f32x4.splat (f32.const -104))))
      (f32x4.splat (f32.const 0x1p-65))))

  ;; e^−|x|.
  (func $exp_negative_abs! (param $x v128) (result v128)
    (call $exp_of_negative! (v128.or (local.get $x) (call $sign_bits!))))

  ;; 2^(x + k) as s·(2^f − 1) + s, s = 2^(n + k), n = x rounded, f = x − n. `rounder` is 1.5·2²³ + k + 127: see $exp_scaled!.
  (func $exp2_scaled! (param $x v128) (param $rounder f32) (result v128)
    (local $t v128) (local $f v128) (local $p v128) (local $scale v128)
    (local.set $t (f32x4.add (local.get $x) (f32x4.splat (local.get $rounder))))
    (local.set $f (f32x4.sub (local.get $x) (f32x4.sub (local.get $t) (f32x4.splat (local.get $rounder)))))
    (local.set $p
      (call $madd! (f32x4.splat (f32.const 0x1.416b54p-13)) (local.get $f) (f32x4.splat (f32.const 0x1.5f082ep-10))))
    (local.set $p (call $madd! (local.get $p) (local.get $f) (f32x4.splat (f32.const 0x1.3b2de0p-7))))
    (local.set $p (call $madd! (local.get $p) (local.get $f) (f32x4.splat (f32.const 0x1.c6af7cp-5))))
    (local.set $p (call $madd! (local.get $p) (local.get $f) (f32x4.splat (f32.const 0x1.ebfbdcp-3))))
    (local.set $p (call $madd! (local.get $p) (local.get $f) (f32x4.splat (f32.const 0x1.62e430p-1))))
    (local.set $scale (i32x4.shl (local.get $t) (i32.const 23)))
    (call $madd! (local.get $scale) (f32x4.mul (local.get $f) (local.get $p)) (local.get $scale)))

  ;; eˣ and eˣ − 1 for −80 ≤ x ≤ 0, as 2ⁿ·(e^r − 1) + 2ⁿ and … + (2ⁿ − 1).
  (func $exp_bounded! (param $x v128) (result v128)
    (local $t v128) (local $scale v128)
    (local.set $t (call $exp_steps! (local.get $x) (f32.const 0x1.8p+23)))
    (local.set $scale (call $power_of_two! (local.get $t)))
    (call $madd! (local.get $scale)
      (call $exp_rest! (local.get $x) (local.get $t) (f32.const 0x1.8p+23))
      (local.get $scale)))
  (func $expm1_bounded! (param $x v128) (result v128)
    (local $t v128) (local $scale v128)
    (local.set $t (call $exp_steps! (local.get $x) (f32.const 0x1.8p+23)))
    (local.set $scale (call $power_of_two! (local.get $t)))
    (call $madd! (local.get $scale)
      (call $exp_rest! (local.get $x) (local.get $t) (f32.const 0x1.8p+23))
      (f32x4.sub (local.get $scale) (f32x4.splat (f32.const 1)))))

  ;; eˣ / (eˣ + 1), both scaled by 2⁶⁵.
  (func $sigmoid! (param $x v128) (result v128)
    (local $e v128)
    (local.set $e
      (call $exp_scaled! (call $at_most! (call $at_least! (local.get $x) (f32.const -104.5)) (f32.const 20))))
    (f32x4.div (local.get $e) (f32x4.add (local.get $e) (f32x4.splat (f32.const 0x1p+65)))))

  ;; 2ˣ / (2ˣ + 1), both scaled by 2⁶⁵.
  (func $sigmoid2! (param $x v128) (result v128)
    (local $e v128)
    (local.set $e
      (call $exp2_scaled!
        (call $at_most! (call $at_least! (local.get $x) (f32.const -151)) (f32.const 30))
        (f32.const 0x1.80018p+23)))
    (f32x4.div (local.get $e) (f32x4.add (local.get $e) (f32x4.splat (f32.const 0x1p+65)))))

  ;; Φ(x), the normal distribution, for −16 ≤ x ≤ 0: ½·2^(x·Q(x)).
  (func $normal_tail! (param $x v128) (result v128)
    (local $q v128)
    (local.set $q
      (call $madd! (f32x4.splat (f32.const -0x1.7d6186p-19)) (local.get $x) (f32x4.splat (f32.const -0x1.4affa6p-15))))
    (local.set $q (call $madd! (local.get $q) (local.get $x) (f32x4.splat (f32.const -0x1.87440ap-13))))
    (local.set $q (call $madd! (local.get $q) (local.get $x) (f32x4.splat (f32.const 0x1.1d27aap-13))))
    (local.set $q (call $madd! (local.get $q) (local.get $x) (f32x4.splat (f32.const 0x1.ced2cap-8))))
    (local.set $q (call $madd! (local.get $q) (local.get $x) (f32x4.splat (f32.const 0x1.ae0a84p-5))))
    (local.set $q (call $madd! (local.get $q) (local.get $x) (f32x4.splat (f32.const -0x1.d63ac2p-2))))
    (local.set $q (call $madd! (local.get $q) (local.get $x) (f32x4.splat (f32.const 0x1.26aed4p+0))))
    (call $exp2_scaled!
      (call $at_least! (f32x4.mul (local.get $x) (local.get $q)) (f32.const -126))
      (f32.const 0x1.8000fcp+23)))

  ;; m = e^(−2·min(|x|, 10)) − 1; tanh |x| = −m / (2 + m), with the sign of x.
  (func $tanh! (param $x v128) (result v128)
    (local $m v128)
    (local.set $m
      (call $expm1_bounded!
        (f32x4.mul (f32x4.splat (f32.const -2))
          (call $at_most! (f32x4.abs (local.get $x)) (f32.const 10)))))
    (v128.bitselect
      (local.get $x)
      (f32x4.div (local.get $m) (f32x4.add (f32x4.splat (f32.const 2)) (local.get $m)))
      (call $sign_bits!)))

  ;; |x| < 1: x + x·P(x²). Otherwise 1 − e^(−t·Q(t)) at t = min(|x|, 4), with the sign of x.
  (func $erf! (param $x v128) (result v128)
    (local $z v128) (local $t v128) (local $near v128) (local $far v128)
    (local.set $z (f32x4.mul (local.get $x) (local.get $x)))
    (local.set $near
      (call $madd!
        (call $madd!
          (call $madd!
            (call $madd!
              (call $madd!
                (call $madd!
                  (call $madd! (f32x4.splat (f32.const 0x1.4772p-14)) (local.get $z)
                    (f32x4.splat (f32.const -0x1.a3515ep-11)))
                  (local.get $z) (f32x4.splat (f32.const 0x1.53f224p-8)))
                (local.get $z) (f32x4.splat (f32.const -0x1.b7f71ap-6)))
              (local.get $z) (f32x4.splat (f32.const 0x1.ce2ce6p-4)))
            (local.get $z) (f32x4.splat (f32.const -0x1.81273ep-2)))
          (local.get $z) (f32x4.splat (f32.const 0x1.06eba8p-3)))
        (local.get $x) (local.get $x)))
    (local.set $t (call $at_most! (f32x4.abs (local.get $x)) (f32.const 4)))
    (local.set $far
      (f32x4.sub (f32x4.splat (f32.const 1))
        (call $exp_bounded!
          (f32x4.neg
            (f32x4.mul (local.get $t)
              (call $madd!
                (call $madd!
                  (call $madd!
                    (call $madd!
                      (call $madd!
                        (call $madd! (f32x4.splat (f32.const 0x1.0a9f4p-16)) (local.get $t)
                          (f32x4.splat (f32.const -0x1.7d5c24p-12)))
                        (local.get $t) (f32x4.splat (f32.const 0x1.f0f042p-9)))
                      (local.get $t) (f32x4.splat (f32.const -0x1.8a1374p-6)))
                    (local.get $t) (f32x4.splat (f32.const 0x1.b47736p-4)))
                  (local.get $t) (f32x4.splat (f32.const 0x1.451942p-1)))
                (local.get $t) (f32x4.splat (f32.const 0x1.20f24cp+0))))))))
    (v128.bitselect
      (local.get $near)
      (v128.bitselect (local.get $x) (local.get $far) (call $sign_bits!))
      (f32x4.lt (f32x4.abs (local.get $x)) (f32x4.splat (f32.const 1)))))

  ;; ln(1 + f) + k·ln 2 for √½ ≤ 1 + f ≤ √2. With s = f / (2 + f), h = f²/2: ln(1 + f) = f − (h − s·(h + s²·P(s²))).
  ;; k·(high part of ln 2) + f is exact as high + low.
  (func $log_sum! (param $f v128) (param $k v128) (result v128)
    (local $s v128) (local $z v128) (local $square v128) (local $tail v128) (local $base v128) (local $high v128)
    (local.set $s (f32x4.div (local.get $f) (f32x4.add (f32x4.splat (f32.const 2)) (local.get $f))))
    (local.set $z (f32x4.mul (local.get $s) (local.get $s)))
    (local.set $square
      (f32x4.mul (f32x4.mul (f32x4.splat (f32.const 0.5)) (local.get $f)) (local.get $f)))
    (local.set $tail
      (call $madd! (local.get $s)
        (f32x4.add (local.get $square)
          (f32x4.mul (local.get $z)
            (call $madd!
              (call $madd! (f32x4.splat (f32.const 0x1.31e23ep-2)) (local.get $z)
                (f32x4.splat (f32.const 0x1.995eccp-2)))
              (local.get $z) (f32x4.splat (f32.const 0x1.55557ap-1)))))
        (f32x4.mul (local.get $k) (f32x4.splat (f32.const 0x1.7f7d1cp-20)))))   ;; ln 2 − its high part
    (local.set $base (f32x4.mul (local.get $k) (f32x4.splat (f32.const 0x1.62e4p-1))))
    (local.set $high (f32x4.add (local.get $base) (local.get $f)))
    (f32x4.add (local.get $high)
      (f32x4.add
        (f32x4.add (f32x4.sub (local.get $base) (local.get $high)) (local.get $f))
        (f32x4.sub (local.get $tail) (local.get $square)))))

  ;; x = 2^k·m with √½ ≤ m ≤ √2: bits of x (scaled by 2²³ if subnormal) above those of √½, then m and k from these.
  (func $log_offset! (param $x v128) (result v128)
    (i32x4.sub
      (v128.bitselect
        (f32x4.mul (local.get $x) (f32x4.splat (f32.const 0x1p+23)))
        (local.get $x)
        (f32x4.lt (local.get $x) (f32x4.splat (f32.const 0x1p-126))))
      (i32x4.splat (i32.const 0x3f3504f3))))
  (func $log_mantissa! (param $offset v128) (result v128)
    (i32x4.add
      (v128.and (local.get $offset) (i32x4.splat (i32.const 0x7fffff)))
      (i32x4.splat (i32.const 0x3f3504f3))))
  (func $log_exponent! (param $offset v128) (param $x v128) (result v128)
    (f32x4.sub
      (f32x4.convert_i32x4_s (i32x4.shr_s (local.get $offset) (i32.const 23)))
      (v128.and
        (f32x4.lt (local.get $x) (f32x4.splat (f32.const 0x1p-126)))
        (f32x4.splat (f32.const 23)))))

  ;; ln x; −∞ at ±0, NaN below.
  (func $log! (param $x v128) (result v128)
    (local $offset v128) (local $y v128)
    (local.set $offset (call $log_offset! (local.get $x)))
    (local.set $y
      (call $log_sum!
        (f32x4.sub (call $log_mantissa! (local.get $offset)) (f32x4.splat (f32.const 1)))
        (call $log_exponent! (local.get $offset) (local.get $x))))
    (local.set $y
      (v128.bitselect (local.get $y) (local.get $x)
        (f32x4.lt (local.get $x) (f32x4.splat (f32.const inf)))))
    (local.set $y
      (v128.bitselect (f32x4.splat (f32.const -inf)) (local.get $y)
        (f32x4.eq (local.get $x) (v128.const i32x4 0 0 0 0))))
    (v128.or (local.get $y) (f32x4.lt (local.get $x) (v128.const i32x4 0 0 0 0))))

  ;; ln(1 + u) for 0 ≤ u ≤ 1; halved above √2 − 1.
  (func $log1p_unit! (param $u v128) (result v128)
    (local $large v128)
    (local.set $large (f32x4.lt (f32x4.splat (f32.const 0x1.a8279ap-2)) (local.get $u)))
    (call $log_sum!
      (v128.bitselect
        (call $madd! (local.get $u) (f32x4.splat (f32.const 0.5)) (f32x4.splat (f32.const -0.5)))
        (local.get $u) (local.get $large))
      (v128.and (local.get $large) (f32x4.splat (f32.const 1)))))
)
