;; dequantize_linear — Y = float(X − zero point)·scale, and sums of products as floats
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

  ;; clamp(float(x)·s + b).
  (func $dequantized! (param $x v128) (param $s v128) (param $b v128) (param $lo v128) (param $hi v128) (result v128)
    (call $clamp!
      (f32x4.add (f32x4.mul (f32x4.convert_i32x4_s (local.get $x)) (local.get $s)) (local.get $b))
      (local.get $lo) (local.get $hi)))

  ;; i32_dequantize_rows — Y[r,i] = clamp(float(X[r,i])·s[i] + b[i], lo, hi) for rows of n sums
  ;; Order     to float with one rounding; one product, one sum, clamp
  ;; Layout    x, y dense; y = x allowed
  ;; Writes    rows m0 ≤ r < m1; reads up to 60 bytes past x, s and b
  (func $i32_dequantize_rows (export "i32_dequantize_rows")
    (param $y i32) (param $x i32) (param $s i32) (param $b i32) (param $lo f32) (param $hi f32) (param $n i32)
    (param $m0 i32) (param $m1 i32)
    (local $px i32) (local $py i32) (local $ps i32) (local $pb i32) (local $rest i32) (local $size i32)
    (local $vlo v128) (local $vhi v128) (local $v0 v128) (local $v1 v128) (local $v2 v128) (local $v3 v128)
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $size (i32.shl (local.get $n) (i32.const 2)))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m0) (local.get $m1)))
        (local.set $px (i32.add (local.get $x) (i32.mul (local.get $m0) (local.get $size))))
        (local.set $py (i32.add (local.get $y) (i32.mul (local.get $m0) (local.get $size))))
        (local.set $ps (local.get $s))
        (local.set $pb (local.get $b))
        (local.set $rest (local.get $n))
        (loop $channels
          (local.set $v0
            (call $dequantized! (v128.load (local.get $px)) (v128.load (local.get $ps)) (v128.load (local.get $pb))
                (local.get $vlo) (local.get $vhi)))
          (local.set $v1
            (call $dequantized! (v128.load offset=16 (local.get $px)) (v128.load offset=16 (local.get $ps)) (v128.load offset=16 (local.get $pb))
                (local.get $vlo) (local.get $vhi)))
          (local.set $v2
            (call $dequantized! (v128.load offset=32 (local.get $px)) (v128.load offset=32 (local.get $ps)) (v128.load offset=32 (local.get $pb))
                (local.get $vlo) (local.get $vhi)))
          (local.set $v3
            (call $dequantized! (v128.load offset=48 (local.get $px)) (v128.load offset=48 (local.get $ps)) (v128.load offset=48 (local.get $pb))
                (local.get $vlo) (local.get $vhi)))
          (call $store4_x32! (local.get $py)
            (local.get $v0) (local.get $v1) (local.get $v2) (local.get $v3) (local.get $rest))
          (local.set $px (i32.add (local.get $px) (i32.const 64)))
          (local.set $py (i32.add (local.get $py) (i32.const 64)))
          (local.set $ps (i32.add (local.get $ps) (i32.const 64)))
          (local.set $pb (i32.add (local.get $pb) (i32.const 64)))
          (br_if $channels
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 16))) (i32.const 0))))
        (local.set $m0 (i32.add (local.get $m0) (i32.const 1)))
        (br $rows))))
)
