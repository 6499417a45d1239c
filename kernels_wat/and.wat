;; and — Y = A ∧ B of booleans (bytes 0 and 1) with broadcasting.
(module
  (func $u8_and_op! (param $a v128) (param $b v128) (result v128)
    (v128.and (local.get $a) (local.get $b)))
  (@kernel "u8_and" (call $map2_x8! (ref.func $u8_and_op!)))
)
