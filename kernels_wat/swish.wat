;; swish — Y = X · sigmoid(X), the product rounded once; −∞ gives NaN.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $swish! (param $x v128) (result v128)
    (f32x4.mul (local.get $x) (call $sigmoid! (local.get $x))))
  (@kernel "f32_swish" (call $map_x32! (ref.func $swish!)))
)
