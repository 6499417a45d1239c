;; cast — Y = X in another element type, `<from>_cast_<to>`; what keeps or drops bytes needs no kernel
;; Writes    exactly y[m0:m1]; reads up to 15 bytes past x · y and x do not overlap, or y = x for equal sizes
(module
  ;; Floats truncate toward zero and saturate at the ends of the target; NaN becomes 0.
  (func $f32_cast_i32_op! (param $x v128) (result v128)
    (i32x4.trunc_sat_f32x4_s (local.get $x)))
  (@kernel "f32_cast_i32" (call $map! (ref.func $f32_cast_i32_op!)
    (ref.func $store_x32!) (i32.const 2) (i32.const 2) (i32.const 4)))

  (func $f32_cast_i64_op! (param $x v128) (result v128)
    (i64x2.replace_lane 1
      (i64x2.splat (i64.trunc_sat_f32_s (f32x4.extract_lane 0 (local.get $x))))
      (i64.trunc_sat_f32_s (f32x4.extract_lane 1 (local.get $x)))))
  (@kernel "f32_cast_i64" (call $map! (ref.func $f32_cast_i64_op!)
    (ref.func $store_x64!) (i32.const 2) (i32.const 3) (i32.const 2)))

  (func $f32_cast_u8_op! (param $x v128) (result v128)
    (i8x16.narrow_i16x8_u
      (i16x8.narrow_i32x4_s (i32x4.trunc_sat_f32x4_s (local.get $x)) (v128.const i32x4 0 0 0 0))
      (v128.const i32x4 0 0 0 0)))
  (@kernel "f32_cast_u8" (call $map! (ref.func $f32_cast_u8_op!)
    (ref.func $store_x32_x8!) (i32.const 2) (i32.const 0) (i32.const 4)))

  (func $f32_cast_i8_op! (param $x v128) (result v128)
    (i8x16.narrow_i16x8_s
      (i16x8.narrow_i32x4_s (i32x4.trunc_sat_f32x4_s (local.get $x)) (v128.const i32x4 0 0 0 0))
      (v128.const i32x4 0 0 0 0)))
  (@kernel "f32_cast_i8" (call $map! (ref.func $f32_cast_i8_op!)
    (ref.func $store_x32_x8!) (i32.const 2) (i32.const 0) (i32.const 4)))

  ;; Integers round to the nearest float, the even one of two.
  (func $i32_cast_f32_op! (param $x v128) (result v128)
    (f32x4.convert_i32x4_s (local.get $x)))
  (@kernel "i32_cast_f32" (call $map! (ref.func $i32_cast_f32_op!)
    (ref.func $store_x32!) (i32.const 2) (i32.const 2) (i32.const 4)))

  (func $i64_cast_f32_op! (param $x v128) (result v128)
    (f32x4.replace_lane 1
      (f32x4.splat (f32.convert_i64_s (i64x2.extract_lane 0 (local.get $x))))
      (f32.convert_i64_s (i64x2.extract_lane 1 (local.get $x)))))
  (@kernel "i64_cast_f32" (call $map! (ref.func $i64_cast_f32_op!)
    (ref.func $store_x64_x32!) (i32.const 3) (i32.const 2) (i32.const 2)))

  (func $u8_cast_f32_op! (param $x v128) (result v128)
    (f32x4.convert_i32x4_s
      (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (local.get $x)))))
  (@kernel "u8_cast_f32" (call $map! (ref.func $u8_cast_f32_op!)
    (ref.func $store_x32!) (i32.const 0) (i32.const 2) (i32.const 4)))

  (func $i8_cast_f32_op! (param $x v128) (result v128)
    (f32x4.convert_i32x4_s
      (i32x4.extend_low_i16x8_s (i16x8.extend_low_i8x16_s (local.get $x)))))
  (@kernel "i8_cast_f32" (call $map! (ref.func $i8_cast_f32_op!)
    (ref.func $store_x32!) (i32.const 0) (i32.const 2) (i32.const 4)))

  ;; Wider integers: zeros or the sign in front. `extend_x64` does it to the first two 32-bit lanes.
  (func $extend_x64! (param $x v128) (result v128)
    (local $sign v128)
    (local.set $sign (i32x4.shr_s (local.get $x) (i32.const 31)))
    (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $x) (local.get $sign)))

  (func $u8_cast_i32_op! (param $x v128) (result v128)
    (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (local.get $x))))
  (@kernel "u8_cast_i32" (call $map! (ref.func $u8_cast_i32_op!)
    (ref.func $store_x32!) (i32.const 0) (i32.const 2) (i32.const 4)))

  (func $u8_cast_i64_op! (param $x v128) (result v128)
    (i8x16.shuffle 0 16 16 16 16 16 16 16 1 16 16 16 16 16 16 16 (local.get $x) (v128.const i32x4 0 0 0 0)))
  (@kernel "u8_cast_i64" (call $map! (ref.func $u8_cast_i64_op!)
    (ref.func $store_x64!) (i32.const 0) (i32.const 3) (i32.const 2)))

  (func $i8_cast_i32_op! (param $x v128) (result v128)
    (i32x4.extend_low_i16x8_s (i16x8.extend_low_i8x16_s (local.get $x))))
  (@kernel "i8_cast_i32" (call $map! (ref.func $i8_cast_i32_op!)
    (ref.func $store_x32!) (i32.const 0) (i32.const 2) (i32.const 4)))

  (func $i8_cast_i64_op! (param $x v128) (result v128)
    (call $extend_x64!
      (i32x4.extend_low_i16x8_s (i16x8.extend_low_i8x16_s (local.get $x)))))
  (@kernel "i8_cast_i64" (call $map! (ref.func $i8_cast_i64_op!)
    (ref.func $store_x64!) (i32.const 0) (i32.const 3) (i32.const 2)))

  (func $i32_cast_i64_op! (param $x v128) (result v128)
    (call $extend_x64! (local.get $x)))
  (@kernel "i32_cast_i64" (call $map! (ref.func $i32_cast_i64_op!)
    (ref.func $store_x64!) (i32.const 2) (i32.const 3) (i32.const 2)))

  ;; Booleans: everything but zero is true, NaN included.
  (func $f32_cast_bool_op! (param $x v128) (result v128)
    (call $truth_x32! (f32x4.ne (local.get $x) (v128.const i32x4 0 0 0 0))))
  (@kernel "f32_cast_bool" (call $map! (ref.func $f32_cast_bool_op!)
    (ref.func $store_x32_x8!) (i32.const 2) (i32.const 0) (i32.const 4)))

  (func $i32_cast_bool_op! (param $x v128) (result v128)
    (call $truth_x32! (i32x4.ne (local.get $x) (v128.const i32x4 0 0 0 0))))
  (@kernel "i32_cast_bool" (call $map! (ref.func $i32_cast_bool_op!)
    (ref.func $store_x32_x8!) (i32.const 2) (i32.const 0) (i32.const 4)))

  (func $i64_cast_bool_op! (param $x v128) (result v128)
    (call $truth_x64! (i64x2.ne (local.get $x) (v128.const i32x4 0 0 0 0))))
  (@kernel "i64_cast_bool" (call $map! (ref.func $i64_cast_bool_op!)
    (ref.func $store_x64_x8!) (i32.const 3) (i32.const 0) (i32.const 2)))

  (func $u8_cast_bool_op! (param $x v128) (result v128)
    (call $truth_x8! (i8x16.ne (local.get $x) (v128.const i32x4 0 0 0 0))))
  (@kernel "u8_cast_bool" (call $map! (ref.func $u8_cast_bool_op!)
    (ref.func $store_x8!) (i32.const 0) (i32.const 0) (i32.const 16)))
)
