;; qlinear_add — sums and products of bytes with scales of their own
;; Layout    y, a, b dense, signs flipped by f… (0x80 for uint8, 0 for int8), zero points z… after that; y = a, y = b allowed
;; Writes    elements m0 ≤ i < m1
(module
  (type $halves (func (param v128 v128 v128 v128) (result v128)))

  ;; Eight bytes at p, less their zero point, as int16.
  (func $centred! (param $p i32) (param $flip v128) (param $z v128) (result v128)
    (i16x8.sub (v128.xor (v128.load8x8_s (local.get $p)) (local.get $flip)) (local.get $z)))

  ;; float(a)·ra + float(b)·rb, and float(a·b)·ra, of int32.
  (func $weighted_sum! (param $a v128) (param $b v128) (param $ra v128) (param $rb v128) (result v128)
    (f32x4.add
      (f32x4.mul (f32x4.convert_i32x4_s (local.get $a)) (local.get $ra))
      (f32x4.mul (f32x4.convert_i32x4_s (local.get $b)) (local.get $rb))))
  (func $scaled_product! (param $a v128) (param $b v128) (param $ra v128) (param $rb v128) (result v128)
    (f32x4.mul (f32x4.convert_i32x4_s (i32x4.mul (local.get $a) (local.get $b))) (local.get $ra)))

  ;; Eight results as int16, of eight bytes at a and at b.
  (func $eight! (param $op (ref $halves)) (param $a i32) (param $b i32)
                (param $fa v128) (param $fb v128) (param $za v128) (param $zb v128) (param $ra v128) (param $rb v128)
                (param $lo v128) (param $hi v128) (param $base v128) (result v128)
    (local $u v128) (local $v v128)
    (local.set $u (call $centred! (local.get $a) (local.get $fa) (local.get $za)))
    (local.set $v (call $centred! (local.get $b) (local.get $fb) (local.get $zb)))
    (i16x8.narrow_i32x4_s
      (call $round_x32!
        (call_ref $halves
          (i32x4.extend_low_i16x8_s (local.get $u)) (i32x4.extend_low_i16x8_s (local.get $v))
          (local.get $ra) (local.get $rb) (local.get $op))
        (local.get $lo) (local.get $hi) (local.get $base))
      (call $round_x32!
        (call_ref $halves
          (i32x4.extend_high_i16x8_s (local.get $u)) (i32x4.extend_high_i16x8_s (local.get $v))
          (local.get $ra) (local.get $rb) (local.get $op))
        (local.get $lo) (local.get $hi) (local.get $base))))

  (func $bytes! (param $op (ref $halves))
    (param $y i32) (param $a i32) (param $b i32) (param $ra f32) (param $rb f32) (param $lo f32) (param $hi f32)
    (param $za i32) (param $zb i32) (param $zy i32) (param $fa i32) (param $fb i32) (param $fy i32)
    (param $m0 i32) (param $m1 i32)
    (local $vra v128) (local $vrb v128) (local $vlo v128) (local $vhi v128) (local $vza v128) (local $vzb v128)
    (local $base v128) (local $vfa v128) (local $vfb v128) (local $vfy v128)
    (local $i i32) (local $p i32) (local $q i32)
    (local.set $vra (f32x4.splat (local.get $ra)))
    (local.set $vrb (f32x4.splat (local.get $rb)))
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $vza (i16x8.splat (local.get $za)))
    (local.set $vzb (i16x8.splat (local.get $zb)))
    (local.set $base (call $base! (local.get $zy)))
    (local.set $vfa (call $flip16! (local.get $fa)))
    (local.set $vfb (call $flip16! (local.get $fb)))
    (local.set $vfy (call $flip! (local.get $fy)))
    (local.set $i (local.get $m0))
    (block $done
      (loop $vectors
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $p (i32.add (local.get $a) (local.get $i)))
        (local.set $q (i32.add (local.get $b) (local.get $i)))
        (call $store_x8! (i32.add (local.get $y) (local.get $i))
          (v128.xor
            (i8x16.narrow_i16x8_s
              (call $eight! (local.get $op) (local.get $p) (local.get $q)
                (local.get $vfa) (local.get $vfb) (local.get $vza) (local.get $vzb) (local.get $vra) (local.get $vrb)
                (local.get $vlo) (local.get $vhi) (local.get $base))
              (call $eight! (local.get $op) (i32.add (local.get $p) (i32.const 8)) (i32.add (local.get $q) (i32.const 8))
                (local.get $vfa) (local.get $vfb) (local.get $vza) (local.get $vzb) (local.get $vra) (local.get $vrb)
                (local.get $vlo) (local.get $vhi) (local.get $base)))
            (local.get $vfy))
          (i32.sub (local.get $m1) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br $vectors))))

  ;; x8_qadd — y = saturate(round((a − za)·ra + (b − zb)·rb) + zy): two products, one sum, clamp, round to even
  (@kernel "x8_qadd" (call $bytes! (ref.func $weighted_sum!)))
  ;; x8_qmul — y = saturate(round((a − za)·(b − zb)·ra) + zy): an exact product, one more, clamp, round to even
  (@kernel "x8_qmul" (call $bytes! (ref.func $scaled_product!)))
)
