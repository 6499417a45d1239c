;; hard_sigmoid — Y = clamp(X·alpha + beta, 0, 1), the sum by madd.
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $hard_sigmoid! (param $x v128) (param $alpha v128) (param $beta v128) (result v128)
    (call $clamp! (call $madd! (local.get $x) (local.get $alpha) (local.get $beta))
      (v128.const i32x4 0 0 0 0) (f32x4.splat (f32.const 1))))
  (func $f32_hard_sigmoid (export "f32_hard_sigmoid")
    (param $y i32) (param $x i32) (param $alpha f32) (param $beta f32)
    (param $n i32) (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (call $map_scalars_x32! (ref.func $hard_sigmoid!)
      (local.get $y) (local.get $x) (local.get $alpha) (local.get $beta)
      (local.get $n) (local.get $ldy) (local.get $ldx) (local.get $m0) (local.get $m1)))
)
