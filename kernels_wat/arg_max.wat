;; arg_max — y[o,i] = the j of the largest x[o,j,i]; NaN counts as larger than any number
(module
  (func $argmax_key_f32! (param $p i32) (result i64)
    (local $x f32)
    (local.set $x (f32.load (local.get $p)))
    (i64.extend_i32_s
      (select (i32.const 0x7fffffff) (call $ordered! (local.get $x)) (f32.ne (local.get $x) (local.get $x)))))
  (func $argmax_key_i32! (param $p i32) (result i64) (i64.load32_s (local.get $p)))
  (func $argmax_key_i64! (param $p i32) (result i64) (i64.load (local.get $p)))

  (@kernel "f32_argmax" (call $arg_best! (ref.func $argmax_key_f32!) (i32.const 4)))
  (@kernel "i32_argmax" (call $arg_best! (ref.func $argmax_key_i32!) (i32.const 4)))
  (@kernel "i64_argmax" (call $arg_best! (ref.func $argmax_key_i64!) (i32.const 8)))
)
