;; sqrt — Y = √X, correctly rounded; −0 at −0, NaN below.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $sqrt! (param $x v128) (result v128) (f32x4.sqrt (local.get $x)))
  (@kernel "f32_sqrt" (call $map_x32! (ref.func $sqrt!)))
)
