;; sigmoid — Y = 1 / (1 + e^−X).
;; Writes    exactly y[m0:m1]; reads up to 12 bytes past x · y = x allowed
(module
  (@kernel "f32_sigmoid" (call $map_x32! (ref.func $sigmoid!)))
)
