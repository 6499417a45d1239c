;; tanh — Y = tanh X.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (@kernel "f32_tanh" (call $map_two_x32! (ref.func $tanh!)))
)
