;; xor — Y = A ≠ B of booleans (bytes 0 and 1) with broadcasting.
(module
  (func $u8_xor_op! (param $a v128) (param $b v128) (result v128)
    (v128.xor (local.get $a) (local.get $b)))
  (@kernel "u8_xor" (call $map2_x8! (ref.func $u8_xor_op!)))
)
