;; round — Y = the nearest integer, the even one of two. The sign of zero stays that of X.
(module
  (func $f32_round_op! (param $x v128) (result v128)
    (f32x4.nearest (local.get $x)))
  (@kernel "f32_round" (call $map_x32! (ref.func $f32_round_op!)))
)
