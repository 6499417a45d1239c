;; lib_reduce — reductions of x [outer][n][inner] over j
;; A row is one output whose elements are neighbours (inner = 1); columns are neighbouring outputs (inner > 1).
;; Reads up to 12 bytes past x.
(module
  (func $first! (param $a v128) (param $b v128) (result v128) (local.get $a))

  (func $squared_difference! (param $a v128) (param $b v128) (result v128)
    (local $d v128)
    (local.set $d (f32x4.sub (local.get $a) (local.get $b)))
    (f32x4.mul (local.get $d) (local.get $d)))

  ;; Lane sum of op(x[j], v) over one row: lane l starts at +0 and adds j = l, l+4, l+8, … ascending; then
  ;; (l0 + l2) + (l1 + l3). Elements past n count as +0, which no lane notices: none ever holds -0.
  (func $sum_row! (param $op (ref $binary)) (param $x i32) (param $n i32) (param $v v128) (result f32)
    (local $p i32) (local $end i32) (local $lanes v128) (local $rest i32)
    (local.set $p (local.get $x))
    (local.set $end (i32.add (local.get $x) (i32.shl (i32.and (local.get $n) (i32.const -4)) (i32.const 2))))
    (local.set $rest (i32.and (local.get $n) (i32.const 3)))
    (local.set $lanes (v128.const i32x4 0 0 0 0))
    (block $vectors_done
      (loop $vectors
        (br_if $vectors_done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $lanes
          (f32x4.add (local.get $lanes)
            (call_ref $binary (v128.load (local.get $p)) (local.get $v) (local.get $op))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (br $vectors)))
    (if (local.get $rest)
      (then
        (local.set $lanes
          (f32x4.add (local.get $lanes)
            (v128.and
              (call_ref $binary (v128.load (local.get $p)) (local.get $v) (local.get $op))
              (i32x4.lt_s (v128.const i32x4 0 1 2 3) (i32x4.splat (local.get $rest))))))))
    (local.set $lanes
      (f32x4.add (local.get $lanes)
        (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $lanes) (local.get $lanes))))
    (f32.add (f32x4.extract_lane 0 (local.get $lanes)) (f32x4.extract_lane 1 (local.get $lanes))))

  ;; One lane in all lanes.
  (func $lane_0! (param $v v128) (result v128)
    (i8x16.shuffle 0 1 2 3 0 1 2 3 0 1 2 3 0 1 2 3 (local.get $v) (local.get $v)))
  (func $lane_1! (param $v v128) (result v128)
    (i8x16.shuffle 4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7 (local.get $v) (local.get $v)))
  (func $lane_2! (param $v v128) (result v128)
    (i8x16.shuffle 8 9 10 11 8 9 10 11 8 9 10 11 8 9 10 11 (local.get $v) (local.get $v)))
  (func $lane_3! (param $v v128) (result v128)
    (i8x16.shuffle 12 13 14 15 12 13 14 15 12 13 14 15 12 13 14 15 (local.get $v) (local.get $v)))

  ;; `sum_row` of four rows that follow each other; lane k of v is that of row k, lane k of the result its sum.
  (func $sum_rows! (param $op (ref $binary)) (param $x i32) (param $n i32) (param $v v128) (result v128)
    (local $p0 i32) (local $p1 i32) (local $p2 i32) (local $p3 i32) (local $row i32) (local $end i32) (local $mask v128)
    (local $v0 v128) (local $v1 v128) (local $v2 v128) (local $v3 v128)
    (local $l0 v128) (local $l1 v128) (local $l2 v128) (local $l3 v128)
    (local.set $row (i32.shl (local.get $n) (i32.const 2)))
    (local.set $p0 (local.get $x))
    (local.set $p1 (i32.add (local.get $p0) (local.get $row)))
    (local.set $p2 (i32.add (local.get $p1) (local.get $row)))
    (local.set $p3 (i32.add (local.get $p2) (local.get $row)))
    (local.set $end (i32.add (local.get $x) (i32.and (local.get $row) (i32.const -16))))
    (local.set $v0 (call $lane_0! (local.get $v)))
    (local.set $v1 (call $lane_1! (local.get $v)))
    (local.set $v2 (call $lane_2! (local.get $v)))
    (local.set $v3 (call $lane_3! (local.get $v)))
    (local.set $l0 (v128.const i32x4 0 0 0 0))
    (local.set $l1 (v128.const i32x4 0 0 0 0))
    (local.set $l2 (v128.const i32x4 0 0 0 0))
    (local.set $l3 (v128.const i32x4 0 0 0 0))
    (block $vectors_done
      (loop $vectors
        (br_if $vectors_done (i32.ge_u (local.get $p0) (local.get $end)))
        (local.set $l0
          (f32x4.add (local.get $l0)
            (call_ref $binary (v128.load (local.get $p0)) (local.get $v0) (local.get $op))))
        (local.set $p0 (i32.add (local.get $p0) (i32.const 16)))
        (local.set $l1
          (f32x4.add (local.get $l1)
            (call_ref $binary (v128.load (local.get $p1)) (local.get $v1) (local.get $op))))
        (local.set $p1 (i32.add (local.get $p1) (i32.const 16)))
        (local.set $l2
          (f32x4.add (local.get $l2)
            (call_ref $binary (v128.load (local.get $p2)) (local.get $v2) (local.get $op))))
        (local.set $p2 (i32.add (local.get $p2) (i32.const 16)))
        (local.set $l3
          (f32x4.add (local.get $l3)
            (call_ref $binary (v128.load (local.get $p3)) (local.get $v3) (local.get $op))))
        (local.set $p3 (i32.add (local.get $p3) (i32.const 16)))
        (br $vectors)))
    (if (i32.and (local.get $n) (i32.const 3))
      (then
        (local.set $mask
          (i32x4.lt_s (v128.const i32x4 0 1 2 3) (i32x4.splat (i32.and (local.get $n) (i32.const 3)))))
        (local.set $l0
          (f32x4.add (local.get $l0)
            (v128.and (local.get $mask)
              (call_ref $binary (v128.load (local.get $p0)) (local.get $v0) (local.get $op)))))
        (local.set $l1
          (f32x4.add (local.get $l1)
            (v128.and (local.get $mask)
              (call_ref $binary (v128.load (local.get $p1)) (local.get $v1) (local.get $op)))))
        (local.set $l2
          (f32x4.add (local.get $l2)
            (v128.and (local.get $mask)
              (call_ref $binary (v128.load (local.get $p2)) (local.get $v2) (local.get $op)))))
        (local.set $l3
          (f32x4.add (local.get $l3)
            (v128.and (local.get $mask)
              (call_ref $binary (v128.load (local.get $p3)) (local.get $v3) (local.get $op)))))))
    (local.set $l0 (call $halves! (local.get $l0) (local.get $l1)))
    (local.set $l2 (call $halves! (local.get $l2) (local.get $l3)))
    (f32x4.add
      (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $l0) (local.get $l2))
      (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31 (local.get $l0) (local.get $l2))))

  ;; l0 + l2 and l1 + l3 of a, then of b.
  (func $halves! (param $a v128) (param $b v128) (result v128)
    (f32x4.add
      (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $a) (local.get $b))
      (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $a) (local.get $b))))

  ;; `sum_row` of four neighbouring columns: what was a lane is a vector; `step` is the distance of j in bytes.
  (func $sum_columns! (param $op (ref $binary)) (param $x i32) (param $n i32) (param $step i32) (param $v v128)
                      (result v128)
    (local $p i32) (local $j i32) (local $l0 v128) (local $l1 v128) (local $l2 v128) (local $l3 v128)
    (local.set $p (local.get $x))
    (local.set $j (local.get $n))
    (local.set $l0 (v128.const i32x4 0 0 0 0))
    (local.set $l1 (v128.const i32x4 0 0 0 0))
    (local.set $l2 (v128.const i32x4 0 0 0 0))
    (local.set $l3 (v128.const i32x4 0 0 0 0))
    (block $done
      (loop $rounds
        (br_if $done (i32.eqz (local.get $j)))
        (local.set $l0
          (f32x4.add (local.get $l0)
            (call_ref $binary (v128.load (local.get $p)) (local.get $v) (local.get $op))))
        (br_if $done (i32.eqz (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (local.set $l1
          (f32x4.add (local.get $l1)
            (call_ref $binary (v128.load (local.get $p)) (local.get $v) (local.get $op))))
        (br_if $done (i32.eqz (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (local.set $l2
          (f32x4.add (local.get $l2)
            (call_ref $binary (v128.load (local.get $p)) (local.get $v) (local.get $op))))
        (br_if $done (i32.eqz (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (local.set $l3
          (f32x4.add (local.get $l3)
            (call_ref $binary (v128.load (local.get $p)) (local.get $v) (local.get $op))))
        (local.set $j (i32.sub (local.get $j) (i32.const 1)))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (br $rounds)))
    (f32x4.add
      (f32x4.add (local.get $l0) (local.get $l2))
      (f32x4.add (local.get $l1) (local.get $l3))))

  ;; Address of the first element of output m = o·inner + i.
  (func $reduced! (param $x i32) (param $m i32) (param $n i32) (param $inner i32) (param $size i32) (result i32)
    (local $o i32)
    (local.set $o (i32.div_u (local.get $m) (local.get $inner)))
    (i32.add (local.get $x)
      (i32.mul (local.get $size)
        (i32.add
          (i32.mul (i32.mul (local.get $o) (local.get $n)) (local.get $inner))
          (i32.sub (local.get $m) (i32.mul (local.get $o) (local.get $inner)))))))

  ;; How many outputs from m on, at most `lanes`, are neighbours of the same o, and before m1.
  (func $neighbours! (param $m i32) (param $m1 i32) (param $inner i32) (param $lanes i32) (result i32)
    (call $min_u! (local.get $lanes)
      (call $min_u!
        (i32.sub (local.get $inner) (i32.rem_u (local.get $m) (local.get $inner)))
        (i32.sub (local.get $m1) (local.get $m)))))

  (func $itself! (param $v v128) (result v128) (local.get $v))

  ;; y[m] = value(op over j of key(x[o,j,i])), for operations that are associative and commutative on keys of 32-bit
  ;; elements, to which that of `identity` is neutral; outputs m0 ≤ m < m1.
  (func $reduce_x32! (param $op (ref $binary)) (param $key (ref $unary)) (param $value (ref $unary)) (param $identity i32)
                     (param $y i32) (param $x i32) (param $n i32) (param $inner i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $p i32) (local $j i32) (local $count i32) (local $acc v128)
    (local.set $m (local.get $m0))
    (block $done
      (loop $outputs
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $acc (call_ref $unary (i32x4.splat (local.get $identity)) (local.get $key)))
        (local.set $p
          (call $reduced! (local.get $x) (local.get $m) (local.get $n) (local.get $inner) (i32.const 4)))
        (local.set $count (i32.const 1))
        (local.set $j (local.get $n))
        (if (i32.eq (local.get $inner) (i32.const 1))
          (then
            (block $row_done
              (loop $row
                (br_if $row_done (i32.lt_u (local.get $j) (i32.const 4)))
                (local.set $acc
                  (call_ref $binary (local.get $acc)
                    (call_ref $unary (v128.load (local.get $p)) (local.get $key))
                    (local.get $op)))
                (local.set $p (i32.add (local.get $p) (i32.const 16)))
                (local.set $j (i32.sub (local.get $j) (i32.const 4)))
                (br $row)))
            (local.set $acc
              (call_ref $binary (local.get $acc)
                (call_ref $unary
                  (v128.bitselect (v128.load (local.get $p)) (i32x4.splat (local.get $identity))
                    (i32x4.lt_s (v128.const i32x4 0 1 2 3) (i32x4.splat (local.get $j))))
                  (local.get $key))
                (local.get $op)))
            (local.set $acc
              (call_ref $binary (local.get $acc)
                (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $acc) (local.get $acc))
                (local.get $op)))
            (local.set $acc
              (call_ref $binary (local.get $acc)
                (i8x16.shuffle 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 (local.get $acc) (local.get $acc))
                (local.get $op))))
          (else
            (local.set $count
              (call $neighbours! (local.get $m) (local.get $m1) (local.get $inner) (i32.const 4)))
            (block $columns_done
              (loop $columns
                (br_if $columns_done (i32.eqz (local.get $j)))
                (local.set $acc
                  (call_ref $binary (local.get $acc)
                    (call_ref $unary (v128.load (local.get $p)) (local.get $key))
                    (local.get $op)))
                (local.set $p (i32.add (local.get $p) (i32.shl (local.get $inner) (i32.const 2))))
                (local.set $j (i32.sub (local.get $j) (i32.const 1)))
                (br $columns)))))
        (call $store_x32!
          (i32.add (local.get $y) (i32.shl (local.get $m) (i32.const 2)))
          (call_ref $unary (local.get $acc) (local.get $value))
          (local.get $count))
        (local.set $m (i32.add (local.get $m) (local.get $count)))
        (br $outputs))))

  ;; `reduce_x32` for 64-bit elements.
  (func $reduce_x64! (param $op (ref $binary)) (param $identity i64)
                     (param $y i32) (param $x i32) (param $n i32) (param $inner i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $p i32) (local $j i32) (local $count i32) (local $acc v128)
    (local.set $m (local.get $m0))
    (block $done
      (loop $outputs
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $acc (i64x2.splat (local.get $identity)))
        (local.set $p
          (call $reduced! (local.get $x) (local.get $m) (local.get $n) (local.get $inner) (i32.const 8)))
        (local.set $count (i32.const 1))
        (local.set $j (local.get $n))
        (if (i32.eq (local.get $inner) (i32.const 1))
          (then
            (block $row_done
              (loop $row
                (br_if $row_done (i32.lt_u (local.get $j) (i32.const 2)))
                (local.set $acc (call_ref $binary (local.get $acc) (v128.load (local.get $p)) (local.get $op)))
                (local.set $p (i32.add (local.get $p) (i32.const 16)))
                (local.set $j (i32.sub (local.get $j) (i32.const 2)))
                (br $row)))
            (local.set $acc
              (call_ref $binary (local.get $acc)
                (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $acc) (local.get $acc))
                (local.get $op)))
            (if (local.get $j)
              (then
                (local.set $acc
                  (call_ref $binary (local.get $acc) (v128.load64_splat (local.get $p)) (local.get $op))))))
          (else
            (local.set $count
              (call $neighbours! (local.get $m) (local.get $m1) (local.get $inner) (i32.const 2)))
            (block $columns_done
              (loop $columns
                (br_if $columns_done (i32.eqz (local.get $j)))
                (local.set $acc (call_ref $binary (local.get $acc) (v128.load (local.get $p)) (local.get $op)))
                (local.set $p (i32.add (local.get $p) (i32.shl (local.get $inner) (i32.const 3))))
                (local.set $j (i32.sub (local.get $j) (i32.const 1)))
                (br $columns)))))
        (call $store_x64!
          (i32.add (local.get $y) (i32.shl (local.get $m) (i32.const 3))) (local.get $acc) (local.get $count))
        (local.set $m (i32.add (local.get $m) (local.get $count)))
        (br $outputs))))

)
