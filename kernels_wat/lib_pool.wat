;; lib_pool — windows over channels-last feature maps
;; Layout    x [n][ih][iw][c], y [n][oh][ow][c]; pixels px and py bytes apart, rows and images following on
;; Window    rows oh·sh − pt + kh·dh, columns ow·sw − pl + kw·dw; the taps inside x take part, row-major
;; Writes    output rows m0 ≤ n·oh + row < m1; reads up to 60 bytes past x
(module
  (type $finish (func (param v128 i32) (result v128)))

  ;; How many of the positions start, start + d, … (k of them) lie before `limit`.
  (func $taps_before! (param $limit i32) (param $start i32) (param $d i32) (param $k i32) (result i32)
    (local $taps i32)
    (local.set $taps (i32.sub (local.get $limit) (local.get $start)))
    (if (i32.ne (local.get $d) (i32.const 1))
      (then
        (local.set $taps
          (i32.div_s (i32.sub (i32.add (local.get $taps) (local.get $d)) (i32.const 1)) (local.get $d)))))
    (select (call $min_u! (local.get $k) (local.get $taps)) (i32.const 0) (i32.gt_s (local.get $taps) (i32.const 0))))

  ;; Up to sixteen channels of an output pixel: `rest` of them are stored. acc = op(acc, tap) from `start` on, over
  ;; ny × nx taps from p on, dy and dx bytes apart; then finish(acc, count).
  (func $window! (param $op (ref $binary)) (param $finish (ref $finish)) (param $start i32)
                 (param $y i32) (param $p i32) (param $ny i32) (param $nx i32) (param $dy i32) (param $dx i32)
                 (param $count i32) (param $rest i32)
    (local $row i32) (local $tap i32) (local $rows i32) (local $taps i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local.set $a0 (i32x4.splat (local.get $start)))
    (local.set $a1 (local.get $a0))
    (local.set $a2 (local.get $a0))
    (local.set $a3 (local.get $a0))
    (if (i32.and (i32.ne (local.get $ny) (i32.const 0)) (i32.ne (local.get $nx) (i32.const 0)))
      (then
        (local.set $row (local.get $p))
        (local.set $rows (local.get $ny))
        (loop $rows
          (local.set $tap (local.get $row))
          (local.set $taps (local.get $nx))
          (loop $taps
            (local.set $a0 (call_ref $binary (local.get $a0) (v128.load (local.get $tap)) (local.get $op)))
            (local.set $a1 (call_ref $binary (local.get $a1) (v128.load offset=16 (local.get $tap)) (local.get $op)))
            (local.set $a2 (call_ref $binary (local.get $a2) (v128.load offset=32 (local.get $tap)) (local.get $op)))
            (local.set $a3 (call_ref $binary (local.get $a3) (v128.load offset=48 (local.get $tap)) (local.get $op)))
            (local.set $tap (i32.add (local.get $tap) (local.get $dx)))
            (br_if $taps (local.tee $taps (i32.sub (local.get $taps) (i32.const 1)))))
          (local.set $row (i32.add (local.get $row) (local.get $dy)))
          (br_if $rows (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))))
    (call $store4_x32! (local.get $y)
      (call_ref $finish (local.get $a0) (local.get $count) (local.get $finish))
      (call_ref $finish (local.get $a1) (local.get $count) (local.get $finish))
      (call_ref $finish (local.get $a2) (local.get $count) (local.get $finish))
      (call_ref $finish (local.get $a3) (local.get $count) (local.get $finish))
      (local.get $rest)))

  ;; y = finish(op over the window from `start`, count) where count is the number of taps, inside x or not, in the
  ;; rows ct ≤ row < cb and the columns cl ≤ column < cr.
  (func $pool! (param $op (ref $binary)) (param $finish (ref $finish)) (param $start i32)
               (param $y i32) (param $x i32)
               (param $ih i32) (param $iw i32) (param $c i32) (param $oh i32) (param $ow i32)
               (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
               (param $pt i32) (param $pl i32) (param $px i32) (param $py i32)
               (param $ct i32) (param $cl i32) (param $cb i32) (param $cr i32) (param $m0 i32) (param $m1 i32)
    (local $size i32) (local $line i32) (local $m i32) (local $image i32) (local $top i32) (local $left i32)
    (local $ky i32) (local $kx i32) (local $ny i32) (local $nx i32) (local $high i32) (local $count i32)
    (local $row i32) (local $p i32) (local $out i32) (local $ox i32) (local $j i32)
    (local.set $size (i32.shl (local.get $c) (i32.const 2)))
    (local.set $line (i32.mul (local.get $px) (local.get $iw)))
    (local.set $out (i32.add (local.get $y) (i32.mul (i32.mul (local.get $m0) (local.get $ow)) (local.get $py))))
    (local.set $m (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $image (i32.div_u (local.get $m) (local.get $oh)))
        (local.set $top
          (i32.sub
            (i32.mul (i32.sub (local.get $m) (i32.mul (local.get $image) (local.get $oh))) (local.get $sh))
            (local.get $pt)))
        (local.set $ky (call $taps_before! (i32.const 0) (local.get $top) (local.get $dh) (local.get $kh)))
        (local.set $ny
          (i32.sub
            (call $taps_before! (local.get $ih) (local.get $top) (local.get $dh) (local.get $kh))
            (local.get $ky)))
        (local.set $high
          (i32.sub
            (call $taps_before! (local.get $cb) (local.get $top) (local.get $dh) (local.get $kh))
            (call $taps_before! (local.get $ct) (local.get $top) (local.get $dh) (local.get $kh))))
        (local.set $row
          (i32.add (local.get $x)
            (i32.mul (local.get $line)
              (i32.add
                (i32.mul (local.get $image) (local.get $ih))
                (i32.add (local.get $top) (i32.mul (local.get $ky) (local.get $dh)))))))
        (local.set $ox (i32.const 0))
        (loop $pixels
          (local.set $left (i32.sub (i32.mul (local.get $ox) (local.get $sw)) (local.get $pl)))
          (local.set $kx (call $taps_before! (i32.const 0) (local.get $left) (local.get $dw) (local.get $kw)))
          (local.set $nx
            (i32.sub
              (call $taps_before! (local.get $iw) (local.get $left) (local.get $dw) (local.get $kw))
              (local.get $kx)))
          (local.set $count
            (i32.mul (local.get $high)
              (i32.sub
                (call $taps_before! (local.get $cr) (local.get $left) (local.get $dw) (local.get $kw))
                (call $taps_before! (local.get $cl) (local.get $left) (local.get $dw) (local.get $kw)))))
          (local.set $p
            (i32.add (local.get $row)
              (i32.mul (local.get $px)
                (i32.add (local.get $left) (i32.mul (local.get $kx) (local.get $dw))))))
          (local.set $j (i32.const 0))
          (loop $channels
            (call $window! (local.get $op) (local.get $finish) (local.get $start)
              (i32.add (local.get $out) (local.get $j)) (i32.add (local.get $p) (local.get $j))
              (local.get $ny) (local.get $nx)
              (i32.mul (local.get $line) (local.get $dh)) (i32.mul (local.get $px) (local.get $dw))
              (local.get $count) (i32.shr_u (i32.sub (local.get $size) (local.get $j)) (i32.const 2)))
            (br_if $channels
              (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 64))) (local.get $size))))
          (local.set $out (i32.add (local.get $out) (local.get $py)))
          (br_if $pixels
            (i32.lt_u (local.tee $ox (i32.add (local.get $ox) (i32.const 1))) (local.get $ow))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))
)
