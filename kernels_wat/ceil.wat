;; ceil — Y = the smallest integer ≥ X. The sign of zero stays that of X.
(module
  (func $f32_ceil_op! (param $x v128) (result v128)
    (f32x4.ceil (local.get $x)))
  (@kernel "f32_ceil" (call $map_x32! (ref.func $f32_ceil_op!)))
)
