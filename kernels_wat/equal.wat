;; equal — Y = A = B with broadcasting, as the bytes 1 and 0. Nothing compares with NaN; -0 = +0.
(module
  (func $f32_equal_op! (param $a v128) (param $b v128) (result v128)
    (call $truth_x32! (f32x4.eq (local.get $a) (local.get $b))))
  (@kernel "f32_equal" (call $map2! (ref.func $f32_equal_op!)
    (ref.func $splat_x32!) (ref.func $store_x32_x8!) (i32.const 0) (i32.const 4)))

  (func $i32_equal_op! (param $a v128) (param $b v128) (result v128)
    (call $truth_x32! (i32x4.eq (local.get $a) (local.get $b))))
  (@kernel "i32_equal" (call $map2! (ref.func $i32_equal_op!)
    (ref.func $splat_x32!) (ref.func $store_x32_x8!) (i32.const 0) (i32.const 4)))

  (func $i64_equal_op! (param $a v128) (param $b v128) (result v128)
    (call $truth_x64! (i64x2.eq (local.get $a) (local.get $b))))
  (@kernel "i64_equal" (call $map2! (ref.func $i64_equal_op!)
    (ref.func $splat_x64!) (ref.func $store_x64_x8!) (i32.const 0) (i32.const 2)))

  (func $u8_equal_op! (param $a v128) (param $b v128) (result v128)
    (call $truth_x8! (i8x16.eq (local.get $a) (local.get $b))))
  (@kernel "u8_equal" (call $map2_x8! (ref.func $u8_equal_op!)))
)
