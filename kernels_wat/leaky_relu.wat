;; leaky_relu — Y = X < 0 ? X·alpha : X.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $leaky_relu! (param $x v128) (param $alpha v128) (param $unused v128) (result v128)
    (call $f32_prelu_op! (local.get $x) (local.get $alpha)))
  (func $f32_leaky_relu (export "f32_leaky_relu")
    (param $y i32) (param $x i32) (param $alpha f32)
    (param $n i32) (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (call $map_scalars_x32! (ref.func $leaky_relu!)
      (local.get $y) (local.get $x) (local.get $alpha) (f32.const 0)
      (local.get $n) (local.get $ldy) (local.get $ldx) (local.get $m0) (local.get $m1)))
)
