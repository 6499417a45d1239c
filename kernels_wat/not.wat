;; not — Y = 1 − X of booleans (bytes 0 and 1).
(module
  (func $u8_not_op! (param $x v128) (result v128)
    (call $truth_x8! (v128.not (local.get $x))))
  (@kernel "u8_not" (call $map! (ref.func $u8_not_op!)
    (ref.func $store_x8!) (i32.const 0) (i32.const 0) (i32.const 16)))
)
