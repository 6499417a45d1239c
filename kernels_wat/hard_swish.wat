;; hard_swish — Y = X·clamp(X/6 + 1/2, 0, 1), the sum by madd.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $hard_swish! (param $x v128) (result v128)
    (f32x4.mul (local.get $x)
      (call $hard_sigmoid! (local.get $x)
        (f32x4.splat (f32.const 0x1.555556p-3))    ;; 1/6
        (f32x4.splat (f32.const 0.5)))))
  (@kernel "f32_hard_swish" (call $map_x32! (ref.func $hard_swish!)))
)
