;; arg_min — y[o,i] = the j of the smallest x[o,j,i]; NaN counts as smaller than any number
;; The complement of an integer reverses the order.
(module
  (func $argmin_key_f32! (param $p i32) (result i64)
    (local $x f32)
    (local.set $x (f32.load (local.get $p)))
    (i64.extend_i32_s
      (select
        (i32.const 0x7fffffff)
        (i32.xor (call $ordered! (local.get $x)) (i32.const -1))
        (f32.ne (local.get $x) (local.get $x)))))
  (func $argmin_key_i32! (param $p i32) (result i64) (i64.xor (i64.load32_s (local.get $p)) (i64.const -1)))
  (func $argmin_key_i64! (param $p i32) (result i64) (i64.xor (i64.load (local.get $p)) (i64.const -1)))

  (@kernel "f32_argmin" (call $arg_best! (ref.func $argmin_key_f32!) (i32.const 4)))
  (@kernel "i32_argmin" (call $arg_best! (ref.func $argmin_key_i32!) (i32.const 4)))
  (@kernel "i64_argmin" (call $arg_best! (ref.func $argmin_key_i64!) (i32.const 8)))
)
