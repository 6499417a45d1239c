;; softplus — Y = ln(e^X + 1) = max(X, 0) + ln(1 + e^−|X|).
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $softplus! (param $x v128) (result v128)
    (f32x4.add
      (call $at_least! (local.get $x) (f32.const 0))
      (call $log1p_unit! (call $exp_negative_abs! (local.get $x)))))
  (@kernel "f32_softplus" (call $map_two_x32! (ref.func $softplus!)))
)
