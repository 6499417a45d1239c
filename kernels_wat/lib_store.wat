;; lib_store — macros that store only the first lanes of a vector, and that fill all lanes from memory
(module
  (type $splat (func (param i32) (result v128)))
  (type $store (func (param i32 v128 i32)))

  ;; Store the first `count` (1 to 3) 32-bit lanes of v.
  (func $store_tail_x32! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.and (local.get $count) (i32.const 2))
      (then
        (i64.store (local.get $p) (i64x2.extract_lane 0 (local.get $v)))
        (if (i32.and (local.get $count) (i32.const 1))
          (then (i32.store offset=8 (local.get $p) (i32x4.extract_lane 2 (local.get $v))))))
      (else (i32.store (local.get $p) (i32x4.extract_lane 0 (local.get $v))))))

  ;; Store the first min(count, 4) 32-bit lanes of v; count ≥ 1.
  (func $store_x32! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.ge_u (local.get $count) (i32.const 4))
      (then (v128.store (local.get $p) (local.get $v)))
      (else (call $store_tail_x32! (local.get $p) (local.get $v) (local.get $count)))))

  ;; Store the first min(count, 16) 32-bit lanes of v0 to v3; count ≥ 1.
  (func $store4_x32! (param $p i32) (param $v0 v128) (param $v1 v128) (param $v2 v128) (param $v3 v128)
                     (param $count i32)
    (if (i32.ge_s (local.get $count) (i32.const 16))
      (then
        (v128.store (local.get $p) (local.get $v0))
        (v128.store offset=16 (local.get $p) (local.get $v1))
        (v128.store offset=32 (local.get $p) (local.get $v2))
        (v128.store offset=48 (local.get $p) (local.get $v3)))
      (else
        (loop $vectors
          (call $store_x32! (local.get $p) (local.get $v0) (local.get $count))
          (local.set $v0 (local.get $v1))
          (local.set $v1 (local.get $v2))
          (local.set $v2 (local.get $v3))
          (local.set $p (i32.add (local.get $p) (i32.const 16)))
          (br_if $vectors
            (i32.gt_s (local.tee $count (i32.sub (local.get $count) (i32.const 4))) (i32.const 0)))))))

  ;; Store the first min(count, 2) 64-bit lanes of v; count ≥ 1.
  (func $store_x64! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.ge_u (local.get $count) (i32.const 2))
      (then (v128.store (local.get $p) (local.get $v)))
      (else (i64.store (local.get $p) (i64x2.extract_lane 0 (local.get $v))))))

  ;; Store the first `count` (1 to 3) bytes of v.
  (func $store_tail_x8! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.and (local.get $count) (i32.const 2))
      (then
        (i32.store16 (local.get $p) (i32x4.extract_lane 0 (local.get $v)))
        (if (i32.and (local.get $count) (i32.const 1))
          (then (i32.store8 offset=2 (local.get $p) (i8x16.extract_lane_u 2 (local.get $v))))))
      (else (i32.store8 (local.get $p) (i32x4.extract_lane 0 (local.get $v))))))

  ;; Store the first min(count, 16) bytes of v; count ≥ 1.
  (func $store_x8! (param $p i32) (param $v v128) (param $count i32)
    (local $q i32) (local $t v128)
    (if (i32.ge_u (local.get $count) (i32.const 16))
      (then (v128.store (local.get $p) (local.get $v)))
      (else
        (local.set $q (local.get $p))
        (local.set $t (local.get $v))
        (if (i32.and (local.get $count) (i32.const 8))
          (then
            (i64.store (local.get $q) (i64x2.extract_lane 0 (local.get $t)))
            (local.set $q (i32.add (local.get $q) (i32.const 8)))
            (local.set $t
              (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $t) (local.get $t)))))
        (if (i32.and (local.get $count) (i32.const 4))
          (then
            (i32.store (local.get $q) (i32x4.extract_lane 0 (local.get $t)))
            (local.set $q (i32.add (local.get $q) (i32.const 4)))
            (local.set $t
              (i8x16.shuffle 4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7 (local.get $t) (local.get $t)))))
        (if (i32.and (local.get $count) (i32.const 3))
          (then (call $store_tail_x8! (local.get $q) (local.get $t) (local.get $count)))))))

  ;; Results of 32-bit lanes narrowed to the first four bytes of v: store min(count, 4) of them; count ≥ 1.
  (func $store_x32_x8! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.ge_u (local.get $count) (i32.const 4))
      (then (i32.store (local.get $p) (i32x4.extract_lane 0 (local.get $v))))
      (else (call $store_tail_x8! (local.get $p) (local.get $v) (local.get $count)))))

  ;; Results of 64-bit lanes narrowed to the first two bytes of v: store min(count, 2) of them; count ≥ 1.
  (func $store_x64_x8! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.ge_u (local.get $count) (i32.const 2))
      (then (i32.store16 (local.get $p) (i32x4.extract_lane 0 (local.get $v))))
      (else (i32.store8 (local.get $p) (i32x4.extract_lane 0 (local.get $v))))))

  ;; Results of 64-bit lanes narrowed to the first two 32-bit lanes of v: store min(count, 2) of them; count ≥ 1.
  (func $store_x64_x32! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.ge_u (local.get $count) (i32.const 2))
      (then (i64.store (local.get $p) (i64x2.extract_lane 0 (local.get $v))))
      (else (i32.store (local.get $p) (i32x4.extract_lane 0 (local.get $v))))))

  ;; All lanes of 8, 32 or 64 bits from memory.
  (func $splat_x8! (param $p i32) (result v128) (v128.load8_splat (local.get $p)))
  (func $splat_x32! (param $p i32) (result v128) (v128.load32_splat (local.get $p)))
  (func $splat_x64! (param $p i32) (result v128) (v128.load64_splat (local.get $p)))
)
