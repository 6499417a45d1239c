;; qlinear_softmax — y[r,j] = saturate(round(e[j]·(ratio / Σj e[j])) + zy) of rows x[r] of n bytes, e[j] = t[255 + x[j] − max(x)]
;; Order     the sum in four lanes from +0, lane l adds j = l, l+4, …; then (l0 + l2) + (l1 + l3); one division a row, one product
;; Layout    x, y dense, signs flipped by f… (fx: from the order of unsigned bytes) · y = x allowed · t: 511 floats ≥ 0
;; Requires  n ≥ 1 · e·ratio / Σ e < 2²²
;; Writes    rows m0 ≤ r < m1; reads up to 15 bytes past x
(module
  (func $larger_bytes! (param $a v128) (param $b v128) (result v128) (i8x16.max_u (local.get $a) (local.get $b)))

  ;; Address of the entry of the byte whose fourfold stands in bits 2 to 9 of w.
  (func $entry! (param $t i32) (param $w i32) (result i32)
    (i32.add (local.get $t) (i32.and (local.get $w) (i32.const 0x3fc))))

  (func $x8_softmax (export "x8_softmax")
    (param $y i32) (param $x i32) (param $t i32) (param $ratio f32) (param $zy i32) (param $fx i32) (param $fy i32)
    (param $n i32) (param $m0 i32) (param $m1 i32)
    (local $p i32) (local $row i32) (local $end i32) (local $w i32) (local $t0 i32) (local $signs i32)
    (local $s0 f32) (local $s1 f32) (local $s2 f32) (local $s3 f32) (local $s f32)
    (local $flip v128) (local $vfy v128) (local $base v128) (local $v v128) (local $m v128)
    (local.set $flip (call $flip! (local.get $fx)))
    (local.set $signs (i32x4.extract_lane 0 (local.get $flip)))
    (local.set $vfy (call $flip! (local.get $fy)))
    (local.set $base (call $base! (local.get $zy)))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m0) (local.get $m1)))
        (local.set $row (i32.add (local.get $x) (i32.mul (local.get $m0) (local.get $n))))
        (local.set $end (i32.add (local.get $row) (local.get $n)))
        (local.set $m (i32x4.splat (i32.const 0)))
        (local.set $p (local.get $row))
        (loop $maximum
          (local.set $m
            (i8x16.max_u (local.get $m)
              (v128.and
                (v128.xor (v128.load (local.get $p)) (local.get $flip))
                (i8x16.gt_s
                  (i8x16.splat (call $min_u! (i32.sub (local.get $end) (local.get $p)) (i32.const 16)))
                  (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)))))
          (br_if $maximum
            (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $end))))
        (local.set $m (call $all_lanes! (ref.func $larger_bytes!) (local.get $m)))
        (local.set $m (i8x16.max_u (local.get $m) (i32x4.shr_u (local.get $m) (i32.const 16))))
        (local.set $m (i8x16.max_u (local.get $m) (i32x4.shr_u (local.get $m) (i32.const 8))))
        (local.set $t0
          (i32.add (local.get $t)
            (i32.shl (i32.sub (i32.const 255) (i8x16.extract_lane_u 0 (local.get $m))) (i32.const 2))))
        (local.set $s0 (local.tee $s1 (local.tee $s2 (local.tee $s3 (f32.const 0)))))
        (local.set $p (local.get $row))
        (block $fours_done
          (loop $fours
            (br_if $fours_done (i32.lt_u (i32.sub (local.get $end) (local.get $p)) (i32.const 4)))
            (local.set $w (i32.xor (i32.load (local.get $p)) (local.get $signs)))
            (local.set $s0
              (f32.add (local.get $s0) (f32.load (call $entry! (local.get $t0) (i32.shl (local.get $w) (i32.const 2))))))
            (local.set $s1
              (f32.add (local.get $s1) (f32.load (call $entry! (local.get $t0) (i32.shr_u (local.get $w) (i32.const 6))))))
            (local.set $s2
              (f32.add (local.get $s2) (f32.load (call $entry! (local.get $t0) (i32.shr_u (local.get $w) (i32.const 14))))))
            (local.set $s3
              (f32.add (local.get $s3) (f32.load (call $entry! (local.get $t0) (i32.shr_u (local.get $w) (i32.const 22))))))
            (local.set $p (i32.add (local.get $p) (i32.const 4)))
            (br $fours)))
        ;; Lanes take turns under the four names: whose turn it is at the end changes no sum of pairs.
        (block $ones_done
          (loop $ones
            (br_if $ones_done (i32.ge_u (local.get $p) (local.get $end)))
            (local.set $w (i32.xor (i32.load8_u (local.get $p)) (local.get $signs)))
            (local.set $s
              (f32.add (local.get $s0) (f32.load (call $entry! (local.get $t0) (i32.shl (local.get $w) (i32.const 2))))))
            (local.set $s0 (local.get $s1))
            (local.set $s1 (local.get $s2))
            (local.set $s2 (local.get $s3))
            (local.set $s3 (local.get $s))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (br $ones)))
        (local.set $m
          (f32x4.splat
            (f32.div (local.get $ratio)
              (f32.add
                (f32.add (local.get $s0) (local.get $s2))
                (f32.add (local.get $s1) (local.get $s3))))))
        (local.set $p (local.get $row))
        (local.set $row (i32.add (local.get $y) (i32.mul (local.get $m0) (local.get $n))))
        (loop $results
          (local.set $w (i32.xor (i32.load (local.get $p)) (local.get $signs)))
          (local.set $v
            (call $nearest_x32!
              (f32x4.mul (local.get $m)
                (v128.load32_lane 3 (call $entry! (local.get $t0) (i32.shr_u (local.get $w) (i32.const 22)))
                  (v128.load32_lane 2 (call $entry! (local.get $t0) (i32.shr_u (local.get $w) (i32.const 14)))
                    (v128.load32_lane 1 (call $entry! (local.get $t0) (i32.shr_u (local.get $w) (i32.const 6)))
                      (v128.load32_zero (call $entry! (local.get $t0) (i32.shl (local.get $w) (i32.const 2))))))))
              (local.get $base)))
          (local.set $v (i16x8.narrow_i32x4_s (local.get $v) (local.get $v)))
          (local.set $v
            (v128.xor (i8x16.narrow_i16x8_s (local.get $v) (local.get $v)) (local.get $vfy)))
          (if (i32.ge_u (i32.sub (local.get $end) (local.get $p)) (i32.const 4))
            (then (v128.store32_lane 0 (local.get $row) (local.get $v)))
            (else (call $store_x8! (local.get $row) (local.get $v) (i32.sub (local.get $end) (local.get $p)))))
          (local.set $row (i32.add (local.get $row) (i32.const 4)))
          (br_if $results
            (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (local.get $end))))
        (local.set $m0 (i32.add (local.get $m0) (i32.const 1)))
        (br $rows))))
)
