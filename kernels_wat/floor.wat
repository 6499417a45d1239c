;; floor — Y = the largest integer ≤ X. The sign of zero stays that of X.
(module
  (func $f32_floor_op! (param $x v128) (result v128)
    (f32x4.floor (local.get $x)))
  (@kernel "f32_floor" (call $map_x32! (ref.func $f32_floor_op!)))
)
