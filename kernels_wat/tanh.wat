;; tanh — Y = tanh X.
;; Writes    exactly y[m0:m1]; reads up to 12 bytes past x · y = x allowed
(module
  (@kernel "f32_tanh" (call $map_x32! (ref.func $tanh!)))
)
