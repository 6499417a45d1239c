;; elu — Y = X ≥ 0 ? X : alpha·(eˣ − 1).
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $elu! (param $x v128) (param $alpha v128) (param $unused v128) (result v128)
    (v128.bitselect
      (local.get $x)
      (f32x4.mul (local.get $alpha)
        (call $expm1_bounded! (call $at_most! (call $at_least! (local.get $x) (f32.const -20)) (f32.const 0))))
      (f32x4.ge (local.get $x) (v128.const i32x4 0 0 0 0))))
  (func $f32_elu (export "f32_elu")
    (param $y i32) (param $x i32) (param $alpha f32)
    (param $n i32) (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (call $map_scalars_x32! (ref.func $elu!)
      (local.get $y) (local.get $x) (local.get $alpha) (f32.const 0)
      (local.get $n) (local.get $ldy) (local.get $ldx) (local.get $m0) (local.get $m1)))
)
