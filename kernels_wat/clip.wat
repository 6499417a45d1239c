;; clip — Y = clamp(X, lo, hi); NaN and -0 pass unchanged. Relu is [0, +inf].
;; Writes    exactly y[m0:m1]; reads up to 12 bytes past x · y = x allowed
(module
  (func $f32_clip (export "f32_clip")
    (param $y i32) (param $x i32) (param $lo f32) (param $hi f32) (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $vlo v128) (local $vhi v128)
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $i (local.get $m0))
    (block $done
      (loop $vectors
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (call $store_x32!
          (i32.add (local.get $y) (i32.shl (local.get $i) (i32.const 2)))
          (call $clamp!
            (v128.load (i32.add (local.get $x) (i32.shl (local.get $i) (i32.const 2))))
            (local.get $vlo) (local.get $vhi))
          (i32.sub (local.get $m1) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br $vectors))))
)
