;; gelu — Y = (½X)·(1 + erf(X·√½)); gelu_tanh: Y = X·sigmoid(X·(c3·X² + c1)). X is raised to −16, from where Y is −0.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $gelu! (param $x v128) (result v128)
    (local $c v128)
    (local.set $c (call $at_least! (local.get $x) (f32.const -16)))
    (f32x4.mul
      (f32x4.mul (f32x4.splat (f32.const 0.5)) (local.get $c))
      (f32x4.add (f32x4.splat (f32.const 1))
        (call $erf! (f32x4.mul (local.get $c) (f32x4.splat (f32.const 0x1.6a09e6p-1)))))))    ;; √½
  (@kernel "f32_gelu" (call $map_x32! (ref.func $gelu!)))

  (func $gelu_tanh! (param $x v128) (result v128)
    (local $c v128)
    (local.set $c (call $at_least! (local.get $x) (f32.const -16)))
    (f32x4.mul (local.get $c)
      (call $sigmoid!
        (f32x4.mul (local.get $c)
          (call $madd!
            (f32x4.mul (local.get $c) (local.get $c))
            (f32x4.splat (f32.const 0x1.2444f2p-4))        ;; 2·√(2/π)·0.044715
            (f32x4.splat (f32.const 0x1.988454p+0)))))))   ;; 2·√(2/π)
  (@kernel "f32_gelu_tanh" (call $map_x32! (ref.func $gelu_tanh!)))
)
