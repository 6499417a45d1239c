;; less — Y = A < B with broadcasting, as the bytes 1 and 0. Nothing compares with NaN; -0 = +0.
(module
  (func $f32_less_op! (param $a v128) (param $b v128) (result v128)
    (call $truth_x32! (f32x4.lt (local.get $a) (local.get $b))))
  (@kernel "f32_less" (call $map2! (ref.func $f32_less_op!)
    (ref.func $splat_x32!) (ref.func $store_x32_x8!) (i32.const 0) (i32.const 4)))

  (func $i32_less_op! (param $a v128) (param $b v128) (result v128)
    (call $truth_x32! (i32x4.lt_s (local.get $a) (local.get $b))))
  (@kernel "i32_less" (call $map2! (ref.func $i32_less_op!)
    (ref.func $splat_x32!) (ref.func $store_x32_x8!) (i32.const 0) (i32.const 4)))

  (func $i64_less_op! (param $a v128) (param $b v128) (result v128)
    (call $truth_x64! (i64x2.lt_s (local.get $a) (local.get $b))))
  (@kernel "i64_less" (call $map2! (ref.func $i64_less_op!)
    (ref.func $splat_x64!) (ref.func $store_x64_x8!) (i32.const 0) (i32.const 2)))
)
