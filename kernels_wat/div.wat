;; div — Y = A / B with broadcasting; one rounding.
(module
  (func $f32_div_op! (param $a v128) (param $b v128) (result v128)
    (f32x4.div (local.get $a) (local.get $b)))
  (@kernel "f32_div" (call $map2_x32! (ref.func $f32_div_op!)))
)
