;; log — Y = ln X; −∞ at ±0, NaN below.
;; Writes    exactly y[m0:m1]; reads up to 12 bytes past x · y = x allowed
(module
  (@kernel "f32_log" (call $map_x32! (ref.func $log!)))
)
