;; clip — Y = clamp(X, lo, hi); NaN and -0 pass unchanged. Relu is [0, +inf].
;; Writes    exactly elements m0:m1 of rows of n; reads up to 60 bytes past x · y = x allowed where ldy = ldx
(module
  (func $f32_clip (export "f32_clip")
    (param $y i32) (param $x i32) (param $lo f32) (param $hi f32)
    (param $n i32) (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (call $map_scalars_x32! (ref.func $clamp!)
      (local.get $y) (local.get $x) (local.get $lo) (local.get $hi)
      (local.get $n) (local.get $ldy) (local.get $ldx) (local.get $m0) (local.get $m1)))
)
