;; mul — Y = A · B with broadcasting; one rounding, integers wrap.
(module
  (func $f32_mul_op! (param $a v128) (param $b v128) (result v128)
    (f32x4.mul (local.get $a) (local.get $b)))
  (@kernel "f32_mul" (call $map2_f32! (ref.func $f32_mul_op!)))

  (func $i32_mul_op! (param $a v128) (param $b v128) (result v128)
    (i32x4.mul (local.get $a) (local.get $b)))
  (@kernel "i32_mul" (call $map2_x32! (ref.func $i32_mul_op!)))

  (func $i64_mul_op! (param $a v128) (param $b v128) (result v128)
    (i64x2.mul (local.get $a) (local.get $b)))
  (@kernel "i64_mul" (call $map2_x64! (ref.func $i64_mul_op!)))
)
