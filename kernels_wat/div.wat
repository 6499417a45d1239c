;; div — Y = A / B with broadcasting. Floats: one rounding. Integers truncate toward zero; A / 0 = 0; MIN / -1 = MIN.
(module
  (func $f32_div_op! (param $a v128) (param $b v128) (result v128)
    (f32x4.div (local.get $a) (local.get $b)))
  (@kernel "f32_div" (call $map2_f32! (ref.func $f32_div_op!)))

  ;; The divisors 0 and -1, which can trap, are replaced by 1; their quotients 0 and -a are put in afterwards.
  (func $i32_div_op! (param $a v128) (param $b v128) (result v128)
    (local $zero v128) (local $minus v128) (local $d v128) (local $q v128)
    (local.set $zero (i32x4.eq (local.get $b) (v128.const i32x4 0 0 0 0)))
    (local.set $minus (i32x4.eq (local.get $b) (v128.const i32x4 -1 -1 -1 -1)))
    (local.set $d
      (v128.bitselect (v128.const i32x4 1 1 1 1) (local.get $b)
        (v128.or (local.get $zero) (local.get $minus))))
    (local.set $q
      (i32x4.splat (i32.div_s (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 0 (local.get $d)))))
    (local.set $q
      (i32x4.replace_lane 1 (local.get $q)
        (i32.div_s (i32x4.extract_lane 1 (local.get $a)) (i32x4.extract_lane 1 (local.get $d)))))
    (local.set $q
      (i32x4.replace_lane 2 (local.get $q)
        (i32.div_s (i32x4.extract_lane 2 (local.get $a)) (i32x4.extract_lane 2 (local.get $d)))))
    (local.set $q
      (i32x4.replace_lane 3 (local.get $q)
        (i32.div_s (i32x4.extract_lane 3 (local.get $a)) (i32x4.extract_lane 3 (local.get $d)))))
    (v128.andnot
      (v128.bitselect (i32x4.neg (local.get $a)) (local.get $q) (local.get $minus))
      (local.get $zero)))
  (@kernel "i32_div" (call $map2_x32! (ref.func $i32_div_op!)))

  (func $i64_div_op! (param $a v128) (param $b v128) (result v128)
    (local $zero v128) (local $minus v128) (local $d v128) (local $q v128)
    (local.set $zero (i64x2.eq (local.get $b) (v128.const i64x2 0 0)))
    (local.set $minus (i64x2.eq (local.get $b) (v128.const i64x2 -1 -1)))
    (local.set $d
      (v128.bitselect (v128.const i64x2 1 1) (local.get $b)
        (v128.or (local.get $zero) (local.get $minus))))
    (local.set $q
      (i64x2.splat (i64.div_s (i64x2.extract_lane 0 (local.get $a)) (i64x2.extract_lane 0 (local.get $d)))))
    (local.set $q
      (i64x2.replace_lane 1 (local.get $q)
        (i64.div_s (i64x2.extract_lane 1 (local.get $a)) (i64x2.extract_lane 1 (local.get $d)))))
    (v128.andnot
      (v128.bitselect (i64x2.neg (local.get $a)) (local.get $q) (local.get $minus))
      (local.get $zero)))
  (@kernel "i64_div" (call $map2_x64! (ref.func $i64_div_op!)))
)
