;; dequantize_linear — Y = float(X − zero point)·scale
;; Order     the difference is exact; one product
;; Layout    x, y dense · scale: one float · zero: one byte of x's type · f: 0x80 for uint8, 0 for int8
;; Writes    elements m0 ≤ i < m1
(module
  (func $x8_dequantize (export "x8_dequantize")
    (param $y i32) (param $x i32) (param $scale i32) (param $zero i32) (param $f i32) (param $m0 i32) (param $m1 i32)
    (local $s v128) (local $z v128) (local $v v128) (local $flip v128) (local $i i32) (local $p i32) (local $rest i32)
    (local.set $flip (call $flip! (local.get $f)))
    (local.set $s (v128.load32_splat (local.get $scale)))
    (local.set $z (i16x8.splat (call $byte! (local.get $zero) (local.get $f))))
    (local.set $i (local.get $m0))
    (block $done
      (loop $vectors
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $v
          (i16x8.sub
            (i16x8.extend_low_i8x16_s
              (v128.xor (v128.load64_zero (i32.add (local.get $x) (local.get $i))) (local.get $flip)))
            (local.get $z)))
        (local.set $p (i32.add (local.get $y) (i32.shl (local.get $i) (i32.const 2))))
        (local.set $rest (i32.sub (local.get $m1) (local.get $i)))
        (call $store_x32! (local.get $p)
          (f32x4.mul (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $v))) (local.get $s)) (local.get $rest))
        (if (i32.gt_u (local.get $rest) (i32.const 4))
          (then
            (call $store_x32! (i32.add (local.get $p) (i32.const 16))
              (f32x4.mul (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $v))) (local.get $s))
              (i32.sub (local.get $rest) (i32.const 4)))))
        (local.set $i (i32.add (local.get $i) (i32.const 8)))
        (br $vectors))))
)
