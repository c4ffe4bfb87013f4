//! Places blurred on the index alone, judged by a library that knows the grid; and private fields, kept and erased.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use depin_core::{Address, Cell};
use depin_identity::{
    CommitmentError, Disclosure, Domain, Opening, PrivateFields,
    place::{self, PlaceError},
};
use h3o::{BaseCell, CellIndex, LatLng, Resolution};
use proptest::prelude::*;

/// The index of the cell that holds a point, at `resolution`.
fn at(latitude: f64, longitude: f64, resolution: u8) -> CellIndex {
    LatLng::new(latitude, longitude).unwrap().to_cell(Resolution::try_from(resolution).unwrap())
}

#[test]
fn every_base_cell_and_its_children_are_cells_and_blur_to_it() {
    let mut cells = 0;
    for base in (0..122).map(|base| BaseCell::try_from(base).unwrap()) {
        let base = CellIndex::base_cells().find(|cell| cell.base_cell() == base).unwrap();
        for cell in base.children(Resolution::Three).chain([base]) {
            let ours = Cell(cell.into());
            assert_eq!(place::resolution(ours), Ok(u8::from(cell.resolution())));
            assert_eq!(place::blur(ours, 0), Ok(Cell(base.into())));
            cells += 1;
        }
    }
    // 2 + 120 * 7^3 (h3geo.org), and the base cells.
    assert_eq!(cells, 41_162 + 122);
}

#[test]
fn only_coarser_cells_are_given() {
    let cell = Cell(at(48.2, 16.37, 5).into());
    assert_eq!(place::blur(cell, 5), Ok(cell));
    assert_eq!(place::blur(cell, 6), Err(PlaceError::Resolution { found: 6, available: 5 }));
    assert!(place::blur(cell, 255).is_err());
    // Edges and vertices of the grid are no cells.
    for other in CellIndex::try_from(cell.0).unwrap().edges().map(u64::from).chain([0, u64::MAX]) {
        assert!(matches!(place::blur(Cell(other), 0), Err(PlaceError::Cell { .. })), "{other:x}");
    }
}

proptest! {
    #[test]
    fn parents_equal_those_of_a_library(latitude in -90.0..90.0, longitude in -180.0..180.0, fine in 0_u8..16, coarse in 0_u8..16) {
        let cell = at(latitude, longitude, fine);
        let parent = cell.parent(Resolution::try_from(coarse).unwrap()).map(|parent| Cell(parent.into()));
        prop_assert_eq!(place::blur(Cell(cell.into()), coarse).ok(), parent);
    }

    #[test]
    fn what_is_a_cell_is_one_for_a_library_too(latitude in -90.0..90.0, longitude in -180.0..180.0, fine in 0_u8..16, flips in prop::collection::vec(0_u32..64, 0..4)) {
        let bits = flips.iter().fold(u64::from(at(latitude, longitude, fine)), |bits, flip| bits ^ (1 << flip));
        prop_assert_eq!(place::resolution(Cell(bits)).is_ok(), CellIndex::try_from(bits).is_ok());
    }

    #[test]
    fn any_number_is_a_cell_for_both_or_neither(bits: u64, near in 0_u64..(1 << 52)) {
        for bits in [bits, 0x0800_0000_0000_0000 | near, 0x0810_0000_0000_0000 | (near << 45 >> 1) | 0x0000_0fff_ffff_ffff] {
            prop_assert_eq!(place::resolution(Cell(bits)).is_ok(), CellIndex::try_from(bits).is_ok());
        }
    }
}

#[test]
fn a_private_place_is_blurred_before_it_is_committed_to_and_erased_for_good() {
    let network = Domain { chain_id: 1, contract: Address::repeat_byte(1) }.network();
    let (home, street) = (Cell(at(48.208_17, 16.373_82, 12).into()), Cell(at(48.208_4, 16.374, 12).into()));
    assert_ne!(home, street);
    let mut fields = PrivateFields::default();
    let opening = place::private(home, 7, vec![1; 16]).unwrap();
    // Neighbours share the blurred place, so nobody learns the house from the value either.
    assert_eq!(opening.value, place::private(street, 7, vec![2; 16]).unwrap().value);
    let place = fields.keep(opening, network).unwrap();
    let serial = Opening { label: "serial".into(), salt: vec![3; 16], value: b"0815".to_vec() };
    let serial = fields.keep(serial, network).unwrap();
    let published = [place.clone(), serial.clone()];
    let blurred = place::blur(home, 7).unwrap().0.to_be_bytes().to_vec();
    assert_eq!(fields.read(&place, network), Ok(Disclosure::Open(blurred)));
    assert_eq!(fields.withheld(&published), 0);

    assert!(fields.erase(&place.digest));
    assert!(!fields.erase(&place.digest));
    assert_eq!(fields.read(&place, network), Ok(Disclosure::Withheld));
    assert_eq!(fields.read(&serial, network), Ok(Disclosure::Open(b"0815".to_vec())));
    assert_eq!(fields.withheld(&published), 1);
    assert_eq!((fields.erase_all(&"serial".into()), fields.erase_all(&"serial".into())), (1, 0));
    assert_eq!(fields.withheld(&published), 2);
    assert_eq!(
        (format!("{fields:?}"), format!("{:?}", Disclosure::Open(vec![7]))),
        ("PrivateFields(0)".into(), "Open(..)".into())
    );

    // What is kept is checked, and too little salt hides nothing.
    let other = Domain { chain_id: 2, contract: Address::repeat_byte(1) }.network();
    let field = Opening { label: "serial".into(), salt: vec![3; 16], value: vec![1] };
    let kept = fields.keep(field, network).unwrap();
    assert!(matches!(fields.read(&kept, other), Err(CommitmentError::Digest { .. })));
    assert!(matches!(
        fields.keep(place::private(home, 7, vec![1; 15]).unwrap(), network),
        Err(CommitmentError::Salt { .. })
    ));
}
