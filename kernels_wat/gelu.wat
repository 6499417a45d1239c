;; gelu — Y = max(X, −0) + c·Φ(c), c = −min(|X|, 16), the sum by madd; gelu_tanh: Y = c·sigmoid(2u), c = max(X, −16),
;; 2u·log₂e = c·(c3·c² + c1).
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $gelu! (param $x v128) (result v128)
    (local $c v128)
    (local.set $c (call $at_least! (v128.or (local.get $x) (call $sign_bits!)) (f32.const -16)))
    (call $madd! (local.get $c) (call $normal_tail! (local.get $c)) (call $at_least! (local.get $x) (f32.const -0))))
  (@kernel "f32_gelu" (call $map_x32! (ref.func $gelu!)))

  (func $gelu_tanh! (param $x v128) (result v128)
    (local $c v128)
    (local.set $c (call $at_least! (local.get $x) (f32.const -16)))
    (f32x4.mul (local.get $c)
      (call $sigmoid2!
        (f32x4.mul (local.get $c)
          (call $madd!
            (f32x4.mul (local.get $c) (local.get $c))
            (f32x4.splat (f32.const 0x1.a5a7d0p-4))        ;; 2·√(2/π)·log₂e·0.044715
            (f32x4.splat (f32.const 0x1.26aec2p+1)))))))   ;; 2·√(2/π)·log₂e
  (@kernel "f32_gelu_tanh" (call $map_x32! (ref.func $gelu_tanh!)))
)
