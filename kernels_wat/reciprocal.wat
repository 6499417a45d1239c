;; reciprocal — Y = 1 / X; one rounding.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $reciprocal! (param $x v128) (result v128) (f32x4.div (f32x4.splat (f32.const 1)) (local.get $x)))
  (@kernel "f32_reciprocal" (call $map_x32! (ref.func $reciprocal!)))
)
