// Private endpoints of a private deployment, and the DNS zones that make their names resolve to them.
param location string
param tags object
param networkId string
param subnetId string
param storageId string
param hostStorageId string
param batchId string

@description('Empty: no registry.')
param registryId string

var always = [
  { name: 'images', target: storageId, group: 'blob', zone: 0 }
  { name: 'host', target: hostStorageId, group: 'blob', zone: 0 }
  { name: 'batch', target: batchId, group: 'batchAccount', zone: 1 }
  { name: 'batch-nodes', target: batchId, group: 'nodeManagement', zone: 1 }
]
var registryEndpoint = [
  { name: 'registry', target: registryId, group: 'registry', zone: 2 }
]
var endpoints = empty(registryId) ? always : concat(always, registryEndpoint)
var zoneNames = [
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.batch.azure.com'
  'privatelink.azurecr.io'
]

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [for name in zoneNames: {
  name: name
  location: 'global'
  tags: tags
}]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (name, i) in zoneNames: {
  parent: zone[i]
  name: 'darkroom'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: networkId
    }
  }
}]

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = [for item in endpoints: {
  name: 'pe-${item.name}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: item.name
        properties: {
          privateLinkServiceId: item.target
          groupIds: [item.group]
        }
      }
    ]
  }
}]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [for (item, i) in endpoints: {
  parent: endpoint[i]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: 'zone'
        properties: {
          privateDnsZoneId: zone[item.zone].id
        }
      }
    ]
  }
}]
