;; mish — Y = X·tanh(softplus(X)) = X·n / d from e = e^−|X|, the division last.
;;   X < 0: n = e·(e + 2), d = n + 2 · otherwise n = 2e + 1, d = 2e·e + n · X is raised to −105, from where Y is −0.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $mish! (param $x v128) (result v128)
    (local $c v128) (local $e v128) (local $two v128) (local $negative v128) (local $n v128)
    (local.set $c (call $at_least! (local.get $x) (f32.const -105)))
    (local.set $e (call $exp_negative_abs! (local.get $c)))
    (local.set $two (f32x4.splat (f32.const 2)))
    (local.set $negative (f32x4.lt (local.get $c) (v128.const i32x4 0 0 0 0)))
    (local.set $n
      (v128.bitselect
        (f32x4.mul (local.get $e) (f32x4.add (local.get $e) (local.get $two)))
        (call $madd! (local.get $e) (local.get $two) (f32x4.splat (f32.const 1)))
        (local.get $negative)))
    (f32x4.div
      (f32x4.mul (local.get $c) (local.get $n))
      (v128.bitselect
        (f32x4.add (local.get $n) (local.get $two))
        (call $madd! (f32x4.mul (local.get $e) (local.get $two)) (local.get $e) (local.get $n))
        (local.get $negative))))
  (@kernel "f32_mish" (call $map_two_x32! (ref.func $mish!)))
)
