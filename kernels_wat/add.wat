;; add — Y = A + B with broadcasting; one rounding, integers wrap.
(module
  (func $f32_add_op! (param $a v128) (param $b v128) (result v128)
    (f32x4.add (local.get $a) (local.get $b)))
  (@kernel "f32_add" (call $map2_f32! (ref.func $f32_add_op!)))

  (func $i32_add_op! (param $a v128) (param $b v128) (result v128)
    (i32x4.add (local.get $a) (local.get $b)))
  (@kernel "i32_add" (call $map2_x32! (ref.func $i32_add_op!)))

  (func $i64_add_op! (param $a v128) (param $b v128) (result v128)
    (i64x2.add (local.get $a) (local.get $b)))
  (@kernel "i64_add" (call $map2_x64! (ref.func $i64_add_op!)))
)
