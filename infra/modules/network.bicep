// The virtual network of a private deployment: one subnet each for the nodes, the function app and the private endpoints.
// Nodes and app call out through the NAT gateway only (Entra ID, Application Insights); nothing calls in.
param location string
param tags object
param token string

@description('Address range of the whole network, and of each subnet in it. A node takes one address.')
param addressPrefix string = '10.60.0.0/16'
param nodesPrefix string = '10.60.0.0/22'
param appPrefix string = '10.60.8.0/26'
param endpointsPrefix string = '10.60.9.0/27'

resource address 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: 'pip-nat-${token}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIPAllocationMethod: 'Static'
  }
}

resource nat 'Microsoft.Network/natGateways@2024-05-01' = {
  name: 'nat-${token}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIpAddresses: [
      {
        id: address.id
      }
    ]
  }
}

resource nodeRules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-nodes-${token}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'nothing-in'
        properties: {
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*' // every protocol is denied
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [addressPrefix]
    }
    subnets: [
      {
        name: 'nodes'
        properties: {
          addressPrefix: nodesPrefix
          defaultOutboundAccess: false
          natGateway: {
            id: nat.id
          }
          networkSecurityGroup: {
            id: nodeRules.id
          }
        }
      }
      {
        name: 'app'
        properties: {
          addressPrefix: appPrefix
          defaultOutboundAccess: false
          natGateway: {
            id: nat.id
          }
          networkSecurityGroup: {
            id: nodeRules.id
          }
          delegations: [
            {
              name: 'functions'
              properties: {
                serviceName: 'Microsoft.App/environments' // what Flex Consumption asks for
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointsPrefix
          defaultOutboundAccess: false
        }
      }
    ]
  }
}

output networkId string = network.id
output nodesSubnetId string = '${network.id}/subnets/nodes'
output appSubnetId string = '${network.id}/subnets/app'
output endpointsSubnetId string = '${network.id}/subnets/endpoints'
